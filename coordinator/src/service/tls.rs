//! TLS of the service's addresses: version 1.3, by rustls.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig, crypto, version::TLS13};
use tokio_rustls::server::TlsStream;

use crate::server::Wrap;

/// A certificate, and its key. Clones are the same.
#[derive(Clone)]
pub struct Tls(Arc<Mutex<TlsAcceptor>>);

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is no PEM file with what is expected.
    #[error("{file}: a PEM file with {expected} is expected: {cause}")]
    File {
        /// Which.
        file: String,
        /// What it should hold.
        expected: &'static str,
        /// Why it does not.
        cause: pem::Error,
    },
    /// The two do not fit together.
    #[error("the certificate and the key: {0}")]
    Pair(#[from] rustls::Error),
}

impl Tls {
    /// Reads a chain of certificates, the server's own first, and its private key.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or is something else, or the two do not fit.
    pub fn read(certificates: &Path, key: &Path) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(Mutex::new(acceptor(certificates, key)?))))
    }

    /// Reads them again, for connections from now on.
    ///
    /// # Errors
    ///
    /// As [`Tls::read`]; then the old ones stay.
    pub fn renew(&self, certificates: &Path, key: &Path) -> Result<(), TlsError> {
        *self.0.lock() = acceptor(certificates, key)?;
        Ok(())
    }
}

fn acceptor(certificates: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let wrong = |file: &Path, expected, cause| TlsError::File {
        file: file.display().to_string(),
        expected,
        cause,
    };
    let chain = CertificateDer::pem_file_iter(certificates)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) })
        .map_err(|cause| wrong(certificates, "certificates", cause))?;
    let key =
        PrivateKeyDer::from_pem_file(key).map_err(|cause| wrong(key, "a private key", cause))?;
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

impl Wrap for Tls {
    type Stream = TlsStream<TcpStream>;

    async fn wrap(&self, stream: TcpStream) -> io::Result<Self::Stream> {
        let acceptor = self.0.lock().clone();
        acceptor.accept(stream).await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Tls")
    }
}
