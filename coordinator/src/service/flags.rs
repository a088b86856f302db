//! What the command line says of the service.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use channels::wire::Secret;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use super::{Application, Config, MakePlatform, Quotas, Tls, serve};
use crate::Settings;

/// Bytes of an application's name.
const NAME_BYTES_MAX: usize = 64;

/// Flags of `farspawn coordinator` for several applications, TLS and HTTP.
#[derive(Clone, Debug, Args)]
pub struct Flags {
    /// An application and a file with its key, as --key-file. With more than one key, a line each,
    /// all open it; at SIGHUP the files are read again, so that one can be replaced
    #[arg(long = "app", value_name = "NAME=KEY_FILE", value_parser = named)]
    applications: Vec<(String, PathBuf)>,
    /// A worker program of one application's own
    #[arg(long = "app-program", value_name = "NAME=PROGRAM", value_parser = named)]
    programs: Vec<(String, PathBuf)>,
    /// An AWS Lambda function of one application's own
    #[arg(long = "app-function", value_name = "NAME=FUNCTION", value_parser = named)]
    functions: Vec<(String, PathBuf)>,
    /// Where to serve HTTP: tasks for clients in any language, metrics
    #[arg(long, value_name = "IP:PORT")]
    http: Option<SocketAddr>,
    /// The certificate chain of both addresses, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Listen without TLS off loopback: for a load balancer that ends TLS in front
    #[arg(long, conflicts_with = "tls_cert")]
    plaintext: bool,
    /// Where workers find the coordinator [default: where it listens]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Clients of an application at once
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    clients: u32,
    /// Connections that have not shown whose they are; one more takes the place of the oldest
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    guests: u32,
    /// Milliseconds that clients may go on once the coordinator is told to stop
    #[arg(long, default_value_t = 30_000, value_name = "MS")]
    drain_ms: u64,
    #[command(flatten)]
    quotas: Quotas,
}

/// What an application has for itself.
#[derive(Clone, Copy, Debug)]
pub enum Own<'a> {
    /// Nothing: its workers are as those of others.
    None,
    /// A program for workers on this machine.
    Program(&'a Path),
    /// A Lambda function.
    Function(&'a str),
}

/// `NAME=VALUE`.
fn named(text: &str) -> Result<(String, PathBuf), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=FILE is expected")?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_plain) {
        return Err(format!(
            "an application's name has 1 to {NAME_BYTES_MAX} letters, digits, `-` and `_`"
        ));
    }
    if value.is_empty() {
        return Err("a file is expected after `=`".to_owned());
    }
    Ok((name.to_owned(), value.into()))
}

impl Flags {
    /// Whether any of them was given. Otherwise there is one application, with one client.
    pub fn is_wanted(&self) -> bool {
        !self.applications.is_empty()
            || !self.programs.is_empty()
            || !self.functions.is_empty()
            || self.http.is_some()
            || self.tls_cert.is_some()
            || self.plaintext
            || self.public_url.is_some()
    }

    /// Whether anybody has a key by them.
    pub fn has_applications(&self) -> bool {
        !self.applications.is_empty()
    }

    /// Whether an address may be listened at.
    fn check(&self, address: SocketAddr, flag: &str) -> anyhow::Result<()> {
        let is_safe = address.ip().is_loopback() || self.tls_cert.is_some() || self.plaintext;
        ensure!(
            is_safe,
            "{flag} {address}: off loopback the link must be encrypted: give --tls-cert and \
             --tls-key, or --plaintext if a load balancer ends TLS in front"
        );
        Ok(())
    }

    /// The keys of each application; the first has no name of its own.
    fn keys(
        &self,
        first: Option<&Path>,
        read_keys: impl Fn(&Path) -> anyhow::Result<Vec<Secret>>,
    ) -> anyhow::Result<BTreeMap<String, Vec<Secret>>> {
        let mut all: BTreeMap<String, Vec<Secret>> = BTreeMap::new();
        let first = first.map(|file| ("default", file));
        let named = self.applications.iter().map(|(name, file)| (name.as_str(), file.as_path()));
        for (name, file) in first.into_iter().chain(named) {
            for key in read_keys(file)? {
                if let Some((other, _)) = all.iter().find(|(_, keys)| keys.contains(&key)) {
                    bail!("--app {name}={}: {other} has this key already", file.display());
                }
                all.entry(name.to_owned()).or_default().push(key);
            }
        }
        Ok(all)
    }

    fn applications(
        &self,
        keys: BTreeMap<String, Vec<Secret>>,
        site: impl Fn(Own<'_>) -> anyhow::Result<(Settings, MakePlatform)>,
    ) -> anyhow::Result<Vec<Application>> {
        let own = [("--app-program", &self.programs), ("--app-function", &self.functions)];
        for (flag, (name, _)) in
            own.iter().flat_map(|(flag, list)| list.iter().map(|of| (*flag, of)))
        {
            ensure!(keys.contains_key(name), "{flag} {name}=…: there is no --app {name}=…");
        }
        let application = |(name, keys): (String, Vec<Secret>)| {
            let (settings, platform) = site(self.own(&name))?;
            let clients_max = self.clients as usize;
            Ok(Application { name, keys, settings, clients_max, platform })
        };
        keys.into_iter().map(application).collect()
    }

    fn own(&self, name: &str) -> Own<'_> {
        let of = |list: &'_ [(String, PathBuf)]| list.iter().rposition(|(of, _)| of == name);
        match (of(&self.functions), of(&self.programs)) {
            (Some(at), _) => Own::Function(self.functions[at].1.to_str().unwrap_or_default()),
            (None, Some(at)) => Own::Program(&self.programs[at].1),
            (None, None) => Own::None,
        }
    }

    /// Runs the service until `stop` is sent. Prints its addresses, a line each.
    ///
    /// # Errors
    ///
    /// If something of it cannot be, with what is expected.
    pub async fn run(
        self,
        listen: SocketAddr,
        first: Option<PathBuf>,
        read_keys: fn(&Path) -> anyhow::Result<Vec<Secret>>,
        site: impl Fn(Own<'_>) -> anyhow::Result<(Settings, MakePlatform)>,
        stop: oneshot::Receiver<()>,
    ) -> anyhow::Result<()> {
        self.check(listen, "--listen")?;
        let applications = self.applications(self.keys(first.as_deref(), read_keys)?, site)?;
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificates), Some(key)) => Some(Tls::read(certificates, key)?),
            _ => None,
        };
        let [relay, web] = if tls.is_some() { ["wss", "https"] } else { ["ws", "http"] };
        let listener = TcpListener::bind(listen).await;
        let listener = listener.with_context(|| format!("--listen {listen}"))?;
        // Before anybody can know that it is there.
        let hangups = signal(SignalKind::hangup())?;
        println!("{relay}://{}", listener.local_addr()?);
        let mut http = None;
        if let Some(address) = self.http {
            self.check(address, "--http")?;
            let bound = TcpListener::bind(address).await;
            let bound = bound.with_context(|| format!("--http {address}"))?;
            println!("{web}://{}", bound.local_addr()?);
            http = Some(bound);
        }
        let (quotas, address) = (self.quotas, self.public_url.clone());
        let drain = Duration::from_millis(self.drain_ms);
        let (rekey, rekeyed) = mpsc::channel(1);
        let guests_max = self.guests as usize;
        let again = self.read_again(hangups, first, read_keys, tls.clone(), rekey);
        let config = Config { applications, quotas, guests_max, rekeyed, address, tls, drain };
        tokio::select! {
            served = serve(listener, http, config, stop) => served?,
            () = again => {}
        }
        Ok(())
    }

    /// At each SIGHUP reads keys and certificates again. If one of the files is not as it should be
    /// all stays as it is.
    async fn read_again(
        self,
        mut hangups: Signal,
        first: Option<PathBuf>,
        read_keys: fn(&Path) -> anyhow::Result<Vec<Secret>>,
        tls: Option<Tls>,
        rekey: mpsc::Sender<Vec<Vec<Secret>>>,
    ) {
        let present = |file: &Path| {
            // None is made now: it would lock out whoever has the key that was there.
            ensure!(file.exists(), "the key file {} is not there", file.display());
            read_keys(file)
        };
        while hangups.recv().await.is_some() {
            let keys = self.keys(first.as_deref(), present);
            let renewed = match (&tls, &self.tls_cert, &self.tls_key) {
                (Some(tls), Some(certificates), Some(key)) => tls.renew(certificates, key),
                _ => Ok(()),
            };
            if let Err(error) = renewed {
                tracing::error!("the certificate stays as it was: {error}");
            }
            match keys {
                Ok(keys) => {
                    // In the order of their names, as at the start. The service may be at its end.
                    rekey.send(keys.into_values().collect()).await.ok();
                }
                Err(error) => tracing::error!("the keys stay as they were: {error:#}"),
            }
        }
        // There will be no signal any more, and the service goes on.
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        assert_eq!(named("a-1_B=/k"), Ok(("a-1_B".to_owned(), "/k".into())));
        for wrong in ["", "a", "=k", "a=", "a b=k", "ä=k", &format!("{}=k", "x".repeat(65))] {
            assert!(named(wrong).is_err(), "{wrong}");
        }
    }
}
