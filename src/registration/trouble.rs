//! What is wrong, told once for as long as it lasts.

use tracing::error;

#[derive(Debug, Default)]
pub(super) struct Trouble(Option<String>);

impl Trouble {
    /// Tells of it, unless that was the last that was told.
    pub(super) fn tell(&mut self, why: String) {
        if self.0.as_ref() != Some(&why) {
            error!("{why}");
        }
        self.0 = Some(why);
    }

    pub(super) fn lasts(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn end(&mut self) {
        self.0 = None;
    }
}
