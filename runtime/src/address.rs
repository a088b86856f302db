//! A coordinator's address, and how a link to it is encrypted.
//!
//! `ws://HOST:PORT` is not, and is for loopback and for networks that nobody else is on.
//! `wss://HOST[:PORT]` is, by TLS 1.3; port 443 if none is named. The coordinator shows that it is
//! the one meant by a certificate that the authorities of a file vouch for, or, without a file,
//! those that browsers trust. Needs the cargo feature `tls`.

use std::path::Path;

use crate::connection::ConnectError;
use crate::link::{Broken, Tap, Wire};

/// Where a coordinator is.
#[derive(Clone)]
pub(crate) struct Address {
    /// With its port.
    host: String,
    encryption: Option<tls::Encryption>,
}

impl Address {
    /// Reads an address. The authorities are a PEM file, for an address with `wss`.
    pub(crate) fn read(text: &str, authorities: Option<&Path>) -> Result<Self, ConnectError> {
        let wrong = || ConnectError::Address(text.to_owned());
        if let Some(host) = text.strip_prefix("ws://") {
            let host = host.trim_end_matches('/');
            let (name, port) = host.rsplit_once(':').ok_or_else(wrong)?;
            let is_whole = !name.is_empty() && port.parse::<u16>().is_ok();
            let host = is_whole.then(|| host.to_owned()).ok_or_else(wrong)?;
            return Ok(Self { host, encryption: None });
        }
        let host = text.strip_prefix("wss://").ok_or_else(wrong)?.trim_end_matches('/');
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => {
                (name, port.parse::<u16>().map_err(|_| wrong())?)
            }
            _ => (host, 443),
        };
        if name.is_empty() {
            return Err(wrong());
        }
        let encryption = tls::Encryption::new(name, authorities)?;
        Ok(Self { host: format!("{name}:{port}"), encryption: Some(encryption) })
    }

    /// `HOST:PORT`.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// What goes over a stream to it.
    pub(crate) async fn encrypt(&self, tap: Tap) -> Result<Wire, Broken> {
        match &self.encryption {
            None => Ok(Wire::Plain(tap)),
            Some(encryption) => encryption.shake_hands(tap).await,
        }
    }
}

#[cfg(feature = "tls")]
mod tls {
    use std::path::Path;

    use coordinator::trust;
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::pki_types::ServerName;

    use crate::connection::ConnectError;
    use crate::link::{Broken, Tap, Wire};

    /// Whom to expect, and who vouches for it.
    #[derive(Clone)]
    pub(super) struct Encryption {
        name: ServerName<'static>,
        connector: TlsConnector,
    }

    impl Encryption {
        pub(super) fn new(name: &str, authorities: Option<&Path>) -> Result<Self, ConnectError> {
            let wrong = |cause: String| ConnectError::Encryption { cause };
            let bare = name.trim_start_matches('[').trim_end_matches(']');
            let name = ServerName::try_from(bare.to_owned())
                .map_err(|error| wrong(format!("`{name}` is no host's name: {error}")))?;
            let connector =
                trust::connector(authorities).map_err(|error| wrong(error.to_string()))?;
            Ok(Self { name, connector })
        }

        pub(super) async fn shake_hands(&self, tap: Tap) -> Result<Wire, Broken> {
            let stream = self.connector.connect(self.name.clone(), tap).await?;
            Ok(Wire::Encrypted(Box::new(stream)))
        }
    }
}

#[cfg(not(feature = "tls"))]
mod tls {
    use std::convert::Infallible;
    use std::path::Path;

    use crate::connection::ConnectError;
    use crate::link::{Broken, Tap, Wire};

    /// There is none.
    #[derive(Clone)]
    pub(super) struct Encryption(Infallible);

    impl Encryption {
        pub(super) fn new(_: &str, _: Option<&Path>) -> Result<Self, ConnectError> {
            let cause = "this program was built without it: enable the feature `tls` of \
                         farspawn-runtime";
            Err(ConnectError::Encryption { cause: cause.to_owned() })
        }

        pub(super) async fn shake_hands(&self, _: Tap) -> Result<Wire, Broken> {
            match self.0 {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Result<String, String> {
        let read = Address::read(text, None).map_err(|error| error.to_string());
        read.map(|address| address.host().to_owned())
    }

    #[test]
    fn an_address_says_how_it_is_reached() {
        assert_eq!(host("ws://127.0.0.1:80"), Ok("127.0.0.1:80".to_owned()));
        assert_eq!(host("ws://[::1]:80/"), Ok("[::1]:80".to_owned()));
        for wrong in ["", "ws://", "ws://a", "ws://a:b", "ws://:1", "http://a:1", "wss://", "a:1"] {
            assert!(host(wrong).is_err_and(|error| error.contains("is no coordinator")), "{wrong}");
        }
    }

    #[cfg(feature = "tls")]
    #[test]
    fn an_encrypted_one_has_a_port_of_its_own() {
        assert_eq!(host("wss://a.example"), Ok("a.example:443".to_owned()));
        assert_eq!(host("wss://a.example:1/"), Ok("a.example:1".to_owned()));
        assert_eq!(host("wss://[::1]"), Ok("[::1]:443".to_owned()));
        assert!(host("wss://a b").is_err_and(|error| error.contains("host's name")));
        let wrong = Address::read("wss://a", Some(Path::new("/no/such/file")));
        let Err(wrong) = wrong else { panic!("there is no such file") };
        assert!(wrong.to_string().contains("/no/such/file: a PEM file"), "{wrong}");
    }

    #[cfg(not(feature = "tls"))]
    #[test]
    fn what_was_not_built_is_named() {
        assert!(host("wss://a:1").is_err_and(|error| error.contains("feature `tls`")));
    }
}
