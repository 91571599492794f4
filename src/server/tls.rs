//! Certificates and TLS settings.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwapOption;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer,
    pem::{self, PemObject},
};
use tracing::warn;
use x509_parser::parse_x509_certificate;

/// The name of HTTP/2 in the negotiation.
pub(super) const HTTP_2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

/// The time by which the start of a new certificate is set back. Clocks differ, so a certificate made now
/// must be valid where the clock is an hour behind.
pub const CLOCK_SKEW: Duration = Duration::from_hours(1);

/// The lifetime of a certificate that is made for one run: longer than any run.
const SELF_SIGNED_LIFETIME: Duration = Duration::from_hours(365 * 24);

/// The reason why credentials or TLS settings cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A file is not PEM, or holds nothing of the wanted kind.
    #[error("{} contains no readable PEM {wanted}", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// The kind of PEM item that the file should contain.
        wanted: &'static str,
        /// The parser's error; `None` if the file contains no such item.
        source: Option<pem::Error>,
    },
    /// The key cannot be used, or is not the certificate's.
    #[error("the key in {} does not belong to the certificate in {}", key.display(), certificate.display())]
    Mismatched {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// The error of the TLS library, unless it only says that key and certificate do not match.
        source: Option<rustls::Error>,
    },
    /// The certificate is not an X.509 certificate.
    #[error("{} contains a certificate that PoolGuard cannot read: {reason}", path.display())]
    BadCertificate {
        /// The certificate's file.
        path: PathBuf,
        /// The parser's error, as text.
        reason: String,
    },
    /// A client CA cannot be trusted as one.
    #[error("{} contains no usable client CA: {reason}", path.display())]
    BadClientCa {
        /// The CA's file.
        path: PathBuf,
        /// The error of the TLS library, as text.
        reason: String,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate")]
    NotMade(#[from] rcgen::Error),
    /// The TLS library refuses its settings.
    #[error("cannot set up TLS")]
    Settings(#[from] rustls::Error),
}

impl TlsError {
    fn not_pem(path: &Path, wanted: &'static str, error: pem::Error) -> Self {
        let is_empty = matches!(error, pem::Error::NoItemsFound);
        Self::NotPem { path: path.to_owned(), wanted, source: (!is_empty).then_some(error) }
    }
}

/// A certificate chain with its private key, which is known to fit.
#[derive(Clone)]
pub struct Credentials {
    key: Arc<CertifiedKey>,
    expires_at: i64,
}

impl fmt::Debug for Credentials {
    /// Formats the time of expiry, but not the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

impl Credentials {
    /// Loads a certificate and its key, each from a PEM file. A certificate that is not valid now is used,
    /// with a warning: refusing it would take the server down, and clients check the validity themselves.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain = certificates(certificate)?;
        let private = PrivateKeyDer::from_pem_slice(&read(key)?)
            .map_err(|error| TlsError::not_pem(key, "private key", error))?;
        Self::new(chain, private, certificate, key)
    }

    /// Creates a self-signed certificate in memory (ECDSA P-256) for these DNS names and addresses.
    pub fn self_signed(
        names: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, TlsError> {
        let names = names.into_iter().map(Into::into).collect::<Vec<_>>();
        let mut parameters = CertificateParams::new(names)?;
        let now = SystemTime::now();
        parameters.not_before = (now - CLOCK_SKEW).into();
        parameters.not_after = (now + SELF_SIGNED_LIFETIME).into();
        parameters.distinguished_name = DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, "PoolGuard");
        let key = KeyPair::generate()?;
        let certificate = parameters.self_signed(&key)?;
        let private = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        Self::signed(certificate.der().clone(), private)
    }

    /// Creates credentials from a certificate that was signed in memory, and its key.
    pub fn signed(
        certificate: CertificateDer<'static>,
        private: PrivateKeyDer<'static>,
    ) -> Result<Self, TlsError> {
        let memory = Path::new("memory");
        Self::new(vec![certificate], private, memory, memory)
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        private: PrivateKeyDer<'static>,
        certificate: &Path,
        key: &Path,
    ) -> Result<Self, TlsError> {
        let leaf = chain.first().ok_or_else(|| {
            TlsError::not_pem(certificate, "certificate", pem::Error::NoItemsFound)
        })?;
        let (_, parsed) = parse_x509_certificate(leaf).map_err(|error| {
            TlsError::BadCertificate { path: certificate.to_owned(), reason: error.to_string() }
        })?;
        let validity = parsed.validity();
        let expires_at = validity.not_after.timestamp();
        warn_unless_valid(validity.not_before.timestamp(), expires_at, certificate);
        let key = CertifiedKey::from_der(chain, private, &provider()).map_err(|error| {
            let says_more = !matches!(error, rustls::Error::InconsistentKeys(_));
            TlsError::Mismatched {
                certificate: certificate.to_owned(),
                key: key.to_owned(),
                source: says_more.then_some(error),
            }
        })?;
        Ok(Self { key: Arc::new(key), expires_at })
    }

    /// Returns the Unix time at which the certificate expires.
    pub fn expires_at(&self) -> i64 {
        self.expires_at
    }

    /// The chain, the server's own certificate first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.key.cert
    }
}

/// The credentials that new connections get: swapped whole, read without a lock. Until there are
/// some, handshakes fail.
#[derive(Default)]
pub struct Certificates(ArcSwapOption<CertifiedKey>);

impl fmt::Debug for Certificates {
    /// Formats the name of the type, but not the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

impl Certificates {
    /// Creates the store with these credentials.
    pub fn new(credentials: Credentials) -> Self {
        Self(ArcSwapOption::from(Some(credentials.key)))
    }

    /// Replaces the credentials for new connections; open connections keep what they have.
    pub fn swap(&self, credentials: Credentials) {
        self.0.store(Some(credentials.key));
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

/// Creates the TLS settings of the server: TLS 1.2 and 1.3 with HTTP/2 and HTTP/1.1. With a client CA,
/// clients must show a certificate of it.
pub fn server_config(
    certificates: Arc<Certificates>,
    client_ca: Option<&Path>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let builder = ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()?;
    let builder = match client_ca {
        Some(path) => {
            let roots = client_roots(path)?;
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots.into(), provider().into())
                    .build()
                    .map_err(|error| bad_client_ca(path, &error))?;
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(certificates);
    config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1_1.to_vec()];
    // API servers keep connections instead of resuming sessions, and a session that cannot be
    // resumed cannot outlive the certificate or the client CA that it was made with.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

fn client_roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| bad_client_ca(path, &error))?;
    }
    Ok(roots)
}

fn bad_client_ca(path: &Path, error: &dyn std::error::Error) -> TlsError {
    TlsError::BadClientCa { path: path.to_owned(), reason: error.to_string() }
}

/// Reads every certificate in a PEM file. A certificate that cannot be read is an error; it is never left
/// out.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let not_pem = |error| TlsError::not_pem(path, "certificate", error);
    let text = read(path)?;
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(not_pem)?;
    if chain.is_empty() { Err(not_pem(pem::Error::NoItemsFound)) } else { Ok(chain) }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })
}

fn warn_unless_valid(starts_at: i64, expires_at: i64, path: &Path) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now >= expires_at {
        warn!(path = %path.display(), expires_at, "the certificate has expired");
    } else if now < starts_at {
        warn!(path = %path.display(), starts_at, "the certificate is not valid yet");
    }
}
