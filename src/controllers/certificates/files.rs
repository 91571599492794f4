//! Certificate files from cert-manager or an administrator. PoolGuard reads them again when they change, as
//! they do when the Secret that is mounted does, by a symbolic link that is swapped.

use std::{
    convert::Infallible,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::{sync::watch, time::sleep};
use tracing::{error, info};

use super::{Bundle, Clock, Registered, bundle::certificates, private::Private};
use crate::{
    server::{
        readiness::ReadinessCondition,
        tls::{Certificates, Credentials, TlsError},
    },
    telemetry::{
        log_once::LogOnce,
        metrics::{Metrics, label},
    },
};

/// The interval at which PoolGuard reads the files.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// The time for which an authority stays registered beside the one that has replaced it: until every
/// replica's volume shows the new files, which takes a kubelet a minute or two.
const OVERLAP: Duration = Duration::from_hours(1);

/// The paths of the certificate files.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
    /// The authority that PoolGuard registers as `caBundle`. Without it, PoolGuard registers no authority.
    pub authority: Option<PathBuf>,
}

/// The content of the files when PoolGuard last read a usable pair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Content {
    certificate: Vec<u8>,
    key: Private<Vec<u8>>,
    authority: Vec<u8>,
}

impl Content {
    fn read(paths: &Paths) -> io::Result<Self> {
        Ok(Self {
            certificate: fs::read(&paths.certificate)?,
            key: Private::new(fs::read(&paths.key)?),
            authority: paths.authority.as_deref().map(fs::read).transpose()?.unwrap_or_default(),
        })
    }
}

/// The follower of the certificate files: it serves the certificate that they hold.
pub struct Files {
    paths: Paths,
    certificates: Arc<Certificates>,
    metrics: Arc<Metrics>,
    clock: Clock,
    content: Content,
    expires: Timestamp,
    /// The authority that was replaced, and the time until which it stays registered.
    replaced: Option<(Bundle, Timestamp)>,
    failure_log: LogOnce,
}

impl Files {
    /// Reads the files for the first time. Files that cannot be used are an error now, not later.
    pub fn open(paths: Paths, metrics: Arc<Metrics>, clock: Clock) -> anyhow::Result<Self> {
        let credentials = Credentials::load(&paths.certificate, &paths.key)?;
        if let Some(path) = &paths.authority {
            check_authority(path)?;
        }
        let content = Content::read(&paths).unwrap_or_default();
        let expires = expiry(&credentials);
        metrics.set_certificate_expiry(label::CertificateLabel::Serving, expires.as_second());
        let certificates = Arc::new(Certificates::new(credentials));
        let (replaced, failure_log) = (None, LogOnce::default());
        Ok(Self { paths, certificates, metrics, clock, content, expires, replaced, failure_log })
    }

    /// Returns the certificate that the server presents.
    pub fn certificates(&self) -> Arc<Certificates> {
        Arc::clone(&self.certificates)
    }

    /// Returns the authorities to register: the current one and, for an hour, the one that it replaced.
    pub fn bundle(&self) -> Bundle {
        let mut bundle = certificates(&self.content.authority);
        let replaced = self.replaced.iter().filter(|(_, until)| *until > (self.clock)());
        for certificate in replaced.flat_map(|(certificates, _)| certificates) {
            if !bundle.contains(certificate) {
                bundle.push(certificate.clone());
            }
        }
        bundle
    }

    /// Reads the files and, if they have changed, serves the new certificate. If certificate and key do not belong
    /// together, the old pair stays in place: the two files are written one after the other, and match at the
    /// next look.
    pub fn look(&mut self) {
        let content = match Content::read(&self.paths) {
            Ok(content) if content == self.content => return,
            Ok(content) => content,
            Err(error) => return self.complain(&format!("cannot read the certificate: {error}")),
        };
        match Credentials::load(&self.paths.certificate, &self.paths.key) {
            Ok(credentials) => self.serve(credentials, content),
            Err(error) => self.complain(&whole(&error)),
        }
    }

    fn serve(&mut self, credentials: Credentials, content: Content) {
        if content.authority != self.content.authority {
            let until = (self.clock)().saturating_add(OVERLAP).unwrap_or(Timestamp::MAX);
            self.replaced = Some((certificates(&self.content.authority), until));
        }
        self.expires = expiry(&credentials);
        self.content = content;
        self.failure_log.end();
        self.certificates.swap(credentials);
        let seconds = self.expires.as_second();
        self.metrics.set_certificate_expiry(label::CertificateLabel::Serving, seconds);
        self.metrics.certificate_reloaded(label::ReloadResult::Success);
        info!(expires = %self.expires, "the certificate files have changed: serving the new \
         certificate");
    }

    fn complain(&mut self, why: &str) {
        if self.failure_log.is_news(why) {
            error!("{why}; PoolGuard keeps serving the previous certificate");
            self.metrics.certificate_reloaded(label::ReloadResult::Failure);
        }
    }

    /// Follows the files until the process ends.
    pub async fn run(
        mut self,
        bundle: watch::Sender<Option<Bundle>>,
        registered: watch::Receiver<Registered>,
        certified: ReadinessCondition,
    ) -> Infallible {
        loop {
            self.look();
            let now = self.bundle();
            bundle.send_if_modified(|sent| {
                let is_new = sent.as_ref() != Some(&now);
                *sent = Some(now);
                is_new
            });
            if (self.clock)() >= self.expires {
                certified.fail("the certificate has expired");
            } else if self.is_distrusted(&registered.borrow()) {
                certified.fail(
                    "the registered caBundle does not yet contain the authority of \
                 this certificate",
                );
            } else {
                certified.meet();
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Whether a registered entry does not trust the authority of these files.
    fn is_distrusted(&self, registered: &Registered) -> bool {
        let authority = certificates(&self.content.authority);
        let bundle = registered.bundle();
        bundle.is_some_and(|bundle| authority.iter().any(|it| !bundle.contains(it)))
    }
}

fn expiry(credentials: &Credentials) -> Timestamp {
    Timestamp::from_second(credentials.expires_at()).unwrap_or(Timestamp::MAX)
}

fn check_authority(path: &Path) -> anyhow::Result<()> {
    let pem =
        fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })?;
    anyhow::ensure!(
        !certificates(&pem).is_empty(),
        "{} contains no CA certificate",
        path.display()
    );
    Ok(())
}

fn whole(error: &TlsError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::controllers::certificates::{authority::Authority, bundle::pem};

    fn now() -> Timestamp {
        Timestamp::now()
    }

    /// A volume as a kubelet mounts a Secret.
    struct Volume {
        folder: tempfile::TempDir,
        generation: u32,
    }

    const FILES: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];

    impl Volume {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("creates");
            for file in FILES {
                let target = Path::new("..data").join(file);
                symlink(target, folder.path().join(file)).expect("links");
            }
            Self { folder, generation: 0 }
        }

        fn path(&self, file: &str) -> PathBuf {
            self.folder.path().join(file)
        }

        fn paths(&self) -> Paths {
            let [certificate, key, authority] = FILES.map(|file| self.path(file));
            Paths { certificate, key, authority: Some(authority) }
        }

        /// Swaps new contents in.
        fn swap(&mut self, contents: [&str; 3]) {
            self.generation += 1;
            let generation = format!("..{}", self.generation);
            fs::create_dir(self.path(&generation)).expect("creates");
            for (file, content) in FILES.iter().zip(contents) {
                fs::write(self.path(&generation).join(file), content).expect("writes");
            }
            symlink(&generation, self.path("..data_tmp")).expect("links");
            fs::rename(self.path("..data_tmp"), self.path("..data")).expect("swaps");
        }

        /// Swaps in a leaf of a new authority; that authority.
        fn swap_in(&mut self) -> Authority {
            let authority = Authority::generate(now()).expect("generates");
            let leaf = authority.sign(&["localhost".to_owned()], now()).expect("signs");
            let key = rcgen::KeyPair::try_from(leaf.key.secret_der()).expect("is a key");
            self.swap([
                &pem([&leaf.certificate]),
                &key.serialize_pem(),
                &pem([authority.certificate()]),
            ]);
            authority
        }

        fn open(&self) -> Files {
            let metrics = Arc::new(Metrics::new().expect("names are unique"));
            Files::open(self.paths(), metrics, Arc::new(now)).expect("opens")
        }
    }

    #[test]
    fn two_swaps_of_the_volume_in_a_row_are_served() {
        let mut volume = Volume::new();
        let first = volume.swap_in();
        let mut files = volume.open();
        assert_eq!(files.bundle(), [first.certificate().clone()]);
        let mut before = first;
        for _ in 0..2 {
            let authority = volume.swap_in();
            files.look();
            let expected = [authority.certificate().clone(), before.certificate().clone()];
            assert_eq!(files.bundle(), expected, "the old authority is trusted for a while");
            before = authority;
        }
        let text = files.metrics.render().expect("renders");
        assert!(
            text.contains("poolguard_certificate_reloads_total{result=\"success\"} 2"),
            "{text}"
        );
    }

    #[test]
    fn a_pair_that_does_not_fit_keeps_the_old_one() {
        let mut volume = Volume::new();
        let authority = volume.swap_in();
        let mut files = volume.open();
        let other = Authority::generate(now()).expect("generates");
        volume.swap([&pem([other.certificate()]), authority.key_pem(), ""]);
        files.look();
        files.look();
        assert_eq!(files.bundle(), [authority.certificate().clone()]);
        let text = files.metrics.render().expect("renders");
        assert!(
            text.contains("poolguard_certificate_reloads_total{result=\"failure\"} 1"),
            "{text}"
        );
        let mended = volume.swap_in();
        files.look();
        assert_eq!(files.bundle().first(), Some(mended.certificate()));
    }

    #[test]
    fn files_that_are_wrong_at_the_start_are_an_error() {
        let mut volume = Volume::new();
        volume.swap(["no", "PEM", "at all"]);
        let metrics = Arc::new(Metrics::new().expect("names are unique"));
        let error = Files::open(volume.paths(), metrics, Arc::new(now)).err().expect("is wrong");
        assert!(
            error.to_string().contains("tls.crt contains no readable PEM certificate"),
            "{error}"
        );
    }
}
