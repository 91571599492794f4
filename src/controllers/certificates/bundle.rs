//! `caBundle` as PEM, read and written; `plan.rs` says which authorities it holds.

use pem::{EncodeConfig, LineEnding, Pem, encode_config};
use rustls_pki_types::{CertificateDer, pem::PemObject};

/// Certificates as PEM, one behind the other.
pub fn pem<'c>(certificates: impl IntoIterator<Item = &'c CertificateDer<'static>>) -> String {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    let encode =
        |it: &CertificateDer<'_>| encode_config(&Pem::new("CERTIFICATE", it.as_ref()), config);
    certificates.into_iter().map(encode).collect()
}

/// The certificates of a PEM text. PoolGuard leaves out everything that is not a certificate, because other
/// clients may have written there.
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
