//! Whom a node that connects to a coordinator trusts: TLS 1.3, with the authorities of a file, or,
//! without a file, with those that browsers trust.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore, crypto};

/// Why nobody can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file names no authorities.
    #[error("{file}: a PEM file with certificates is expected: {cause}")]
    File {
        /// Which.
        file: String,
        /// What is wrong with it.
        cause: String,
    },
    /// This program was built without what TLS 1.3 needs.
    #[error("{0}")]
    Build(#[from] rustls::Error),
}

/// What encrypts a connection, and makes sure of the other end.
///
/// # Errors
///
/// If the file cannot be read, or has no certificates.
pub fn connector(authorities: Option<&Path>) -> Result<TlsConnector, TrustError> {
    let mut roots = RootCertStore::empty();
    match authorities {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => {
            let read = CertificateDer::pem_file_iter(file)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| error.to_string());
            let cause = match read.map(|read| roots.add_parsable_certificates(read).0) {
                Ok(1..) => None,
                Ok(_) => Some("it has none".to_owned()),
                Err(error) => Some(error),
            };
            if let Some(cause) = cause {
                return Err(TrustError::File { file: file.display().to_string(), cause });
            }
        }
    }
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
