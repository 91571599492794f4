//! `caBundle`: the authorities that an API server trusts to have signed PoolGuard's certificate.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls_pki_types::{CertificateDer, pem::PemObject};

/// Columns of base64 in PEM.
const PEM_COLUMNS: usize = 64;

/// Certificates as PEM, one behind the other.
pub fn pem<'c>(certificates: impl IntoIterator<Item = &'c CertificateDer<'static>>) -> String {
    let mut text = String::new();
    for certificate in certificates {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let encoded = STANDARD.encode(certificate);
        for line in encoded.as_bytes().chunks(PEM_COLUMNS) {
            text.extend(line.iter().copied().map(char::from));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

/// The certificates of a PEM text. What is none is left out: others may have written there.
pub fn certificates(pem: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::certificates::authority::Authority;

    #[test]
    fn what_is_written_is_read() {
        let authorities = [0, 1].map(|_| {
            Authority::generate(jiff::Timestamp::UNIX_EPOCH)
                .expect("generates")
                .certificate()
                .clone()
        });
        assert_eq!(certificates(pem(&authorities).as_bytes()), authorities);
        assert_eq!(certificates(b"no PEM at all"), []);
    }
}
