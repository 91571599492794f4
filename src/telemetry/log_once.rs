//! A failure that PoolGuard logs once for as long as it lasts.

/// The reason why something does not work; none while it works.
#[derive(Clone, Debug, Default)]
pub struct LogOnce(Option<String>);

impl LogOnce {
    /// Records a failure for this reason, and returns whether the reason differs from the last one.
    pub fn is_news(&mut self, why: &str) -> bool {
        let is_news = self.0.as_deref() != Some(why);
        if is_news {
            self.0 = Some(why.to_owned());
        }
        is_news
    }

    /// Returns the reason of the failure; `None` if there is no failure.
    pub fn why(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Records that the failure has ended.
    pub fn end(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_news_once_until_it_ends_or_another_comes() {
        let mut failure_log = LogOnce::default();
        for (why, is_news) in [("a", true), ("a", false), ("b", true), ("a", true)] {
            assert_eq!(failure_log.is_news(why), is_news, "{why}");
            assert_eq!(failure_log.why(), Some(why));
        }
        failure_log.end();
        assert_eq!(failure_log.why(), None);
        assert!(failure_log.is_news("a"));
    }
}
