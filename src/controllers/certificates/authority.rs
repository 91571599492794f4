//! A certificate authority, and the leaves that it signs.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use x509_parser::parse_x509_certificate;

use super::private::Private;
use crate::server::tls::CLOCK_SKEW;

/// The lifetime of an authority. It is replaced long before its end: see [`super::plan`].
pub const AUTHORITY_LIFETIME: Duration = Duration::from_hours(365 * 24);

/// The lifetime of a leaf: short, so that a failed renewal is noticed soon.
pub const LEAF_LIFETIME: Duration = Duration::from_hours(7 * 24);

/// The error of reading an authority, or of signing with it.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The certificate cannot be parsed, or it is not the certificate of an authority.
    #[error("cannot read the certificate: {0}")]
    Certificate(String),
    /// The key cannot be parsed.
    #[error("cannot read the key: {0}")]
    Key(String),
    /// Key and certificate do not belong together.
    #[error("the key does not belong to the certificate")]
    Mismatched,
    /// A key or a certificate could not be generated or signed.
    #[error("cannot sign: {0}")]
    Unsigned(#[from] rcgen::Error),
}

/// The period in which a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub start: Timestamp,
    /// The last moment.
    pub end: Timestamp,
}

impl Validity {
    /// Reads the validity period of a certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, AuthorityError> {
        let unreadable = |error: &dyn std::fmt::Display| {
            AuthorityError::Certificate(error.to_string().to_lowercase())
        };
        let (_, parsed) =
            parse_x509_certificate(certificate).map_err(|error| unreadable(&error))?;
        let moment = |time: x509_parser::time::ASN1Time| {
            Timestamp::from_second(time.timestamp()).map_err(|error| unreadable(&error))
        };
        let validity = parsed.validity();
        Ok(Self { start: moment(validity.not_before)?, end: moment(validity.not_after)? })
    }

    /// Returns the period that ends `lifetime` from now. It starts [`CLOCK_SKEW`] ago, because some clocks are
    /// behind.
    fn starting(now: Timestamp, lifetime: Duration) -> Self {
        let end = now.saturating_add(lifetime).unwrap_or(Timestamp::MAX);
        let start = now.saturating_sub(CLOCK_SKEW).unwrap_or(Timestamp::MIN);
        Self { start, end }
    }

    /// Whether the certificate is valid at that moment.
    pub fn contains(&self, now: Timestamp) -> bool {
        self.start <= now && now < self.end
    }

    /// Whether two thirds of the period are over. The time for clock skew is a part of the period.
    pub fn is_due(&self, now: Timestamp) -> bool {
        let length = self.start.duration_until(self.end);
        now >= self.start.saturating_add(length / 3 * 2).unwrap_or(Timestamp::MAX)
    }
}

/// A certificate authority with its key (ECDSA P-256).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    certificate: CertificateDer<'static>,
    key: Private<String>,
    validity: Validity,
}

/// A certificate that an authority has signed, with its key.
#[derive(Debug)]
pub struct Signed {
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    /// The private key of the certificate.
    pub key: PrivateKeyDer<'static>,
    /// The period in which the certificate is valid.
    pub validity: Validity,
}

impl Authority {
    /// Generates a new self-signed authority, valid from now.
    pub fn generate(now: Timestamp) -> Result<Self, AuthorityError> {
        let validity = Validity::starting(now, AUTHORITY_LIFETIME);
        let mut parameters = parameters("PoolGuard CA", validity)?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate = parameters.self_signed(&key)?;
        let validity = Validity::of(certificate.der())?;
        Ok(Self {
            certificate: certificate.der().clone(),
            key: Private::new(key.serialize_pem()),
            validity,
        })
    }

    /// Reads an authority from PEM. The key must belong to the certificate.
    pub fn read(certificate: &[u8], key: &[u8]) -> Result<Self, AuthorityError> {
        let certificate = CertificateDer::from_pem_slice(certificate)
            .map_err(|error| AuthorityError::Certificate(error.to_string()))?
            .into_owned();
        let (_, parsed) = parse_x509_certificate(&certificate)
            .map_err(|error| AuthorityError::Certificate(error.to_string().to_lowercase()))?;
        if !parsed.is_ca() {
            return Err(AuthorityError::Certificate(
                "it is not the certificate of a certificate authority (CA)".to_owned(),
            ));
        }
        let key = str::from_utf8(key).map_err(|error| AuthorityError::Key(error.to_string()))?;
        let pair =
            KeyPair::from_pem(key).map_err(|error| AuthorityError::Key(error.to_string()))?;
        if parsed.public_key().subject_public_key.data.as_ref() != pair.public_key_raw() {
            return Err(AuthorityError::Mismatched);
        }
        let validity = Validity::of(&certificate)?;
        Ok(Self { certificate, key: Private::new(pair.serialize_pem()), validity })
    }

    /// Returns the certificate of the authority.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Returns the private key of the authority, as PEM.
    pub fn key_pem(&self) -> &str {
        self.key.reveal()
    }

    /// Returns the period in which the authority is valid.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Signs a server certificate with a new key for these DNS names and addresses. It does not
    /// outlive the authority.
    pub fn sign(&self, names: &[String], now: Timestamp) -> Result<Signed, AuthorityError> {
        let mut validity = Validity::starting(now, LEAF_LIFETIME);
        validity.end = validity.end.min(self.validity.end);
        let mut parameters = parameters("PoolGuard", validity)?;
        let names = CertificateParams::new(names)?;
        parameters.subject_alt_names = names.subject_alt_names;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        let issuer =
            Issuer::from_ca_cert_der(&self.certificate, KeyPair::from_pem(self.key_pem())?)?;
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &issuer)?.der().clone();
        let validity = Validity::of(&certificate)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        Ok(Signed { certificate, key, validity })
    }
}

fn parameters(name: &str, validity: Validity) -> Result<CertificateParams, rcgen::Error> {
    let mut parameters = CertificateParams::new(Vec::<String>::new())?;
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    let moment = |time: Timestamp| std::time::SystemTime::from(time).into();
    parameters.not_before = moment(validity.start);
    parameters.not_after = moment(validity.end);
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::certificates::bundle::pem;

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().expect("is a time")
    }

    fn after(duration: Duration) -> Timestamp {
        now() + duration
    }

    #[test]
    fn an_authority_survives_being_written_and_read() {
        let authority = Authority::generate(now()).expect("generates");
        let certificate = pem([authority.certificate()]);
        let read = Authority::read(certificate.as_bytes(), authority.key_pem().as_bytes());
        assert_eq!(read.expect("reads"), authority);
    }

    #[test]
    fn a_key_of_another_authority_is_refused() {
        let [one, other] = [0, 1].map(|_| Authority::generate(now()).expect("generates"));
        let certificate = pem([one.certificate()]);
        let read = Authority::read(certificate.as_bytes(), other.key_pem().as_bytes());
        assert!(matches!(read, Err(AuthorityError::Mismatched)));
    }

    #[test]
    fn a_leaf_is_no_authority() {
        let authority = Authority::generate(now()).expect("generates");
        let leaf = authority.sign(&["localhost".to_owned()], now()).expect("signs");
        let certificate = pem([&leaf.certificate]);
        let read = Authority::read(certificate.as_bytes(), authority.key_pem().as_bytes());
        assert!(matches!(read, Err(AuthorityError::Certificate(_))), "{read:?}");
    }

    #[test]
    fn a_leaf_is_due_when_two_thirds_of_it_are_over() {
        let authority = Authority::generate(now()).expect("generates");
        let leaf = authority.sign(&["localhost".to_owned()], now()).expect("signs").validity;
        assert!(leaf.contains(now()) && !leaf.is_due(now()));
        assert!(!leaf.is_due(after(LEAF_LIFETIME / 2)));
        assert!(leaf.is_due(after(LEAF_LIFETIME / 3 * 2)));
        assert!(!leaf.contains(after(LEAF_LIFETIME)));
    }

    #[test]
    fn a_leaf_does_not_outlive_its_authority() {
        let authority = Authority::generate(now()).expect("generates");
        let late = after(AUTHORITY_LIFETIME / 400 * 399);
        let leaf = authority.sign(&["localhost".to_owned()], late).expect("signs");
        assert_eq!(leaf.validity.end, authority.validity().end);
    }
}
