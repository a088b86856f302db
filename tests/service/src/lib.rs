//! A coordinator as a process, with certificates of its own, and requests to it as bytes.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::Value;
use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto};

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program that cargo has built beside this test.
pub fn program(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a test is a program");
    let folder = test.parent().and_then(Path::parent).expect("target/…/deps");
    folder.join("examples").join(name)
}

/// A running coordinator. Dropped, it is killed.
pub struct Site {
    /// Keys, certificates.
    pub folder: TempDir,
    /// Where the relay is, as it printed it.
    pub relay: String,
    /// Where HTTP is.
    pub http: SocketAddr,
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<thread::JoinHandle<()>>,
    is_encrypted: bool,
}

impl Site {
    /// With two applications, `a` with the keys 1 and 2, and `b` with the key 3.
    pub fn start(more: &[&str]) -> Self {
        Self::with(more, false)
    }

    /// The same, with TLS, as `localhost`.
    pub fn encrypted(more: &[&str]) -> Self {
        Self::with(more, true)
    }

    fn with(more: &[&str], is_encrypted: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        write_keys(folder.path());
        write_certificates(folder.path());
        let at = |name: &str| folder.path().join(name).display().to_string();
        let mut command = Command::new(program("farspawn"));
        command.args(["coordinator", "--http", "127.0.0.1:0"]);
        // Silence of a busy machine is not what most are about.
        if !more.contains(&"--lease-ms") {
            command.args(["--lease-ms", "30000"]);
        }
        command.args(["--app", &format!("a={}", at("1.key"))]);
        command.args(["--app", &format!("a={}", at("2.key"))]);
        command.args(["--app", &format!("b={}", at("3.key"))]);
        if is_encrypted {
            command.args(["--tls-cert", &at("server.pem"), "--tls-key", &at("server.key")]);
        }
        command.args(more).arg("--").arg(program("application"));
        command.env("FARSPAWN_CA", at("ca.pem")).env("RUST_LOG", "trace");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("farspawn is built");
        let log = Arc::<Mutex<String>>::default();
        let written = log.clone();
        let stderr = child.stderr.take().expect("it is piped");
        let reader = thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = written.lock().unwrap_or_else(PoisonError::into_inner);
                log.push_str(&line);
                log.push('\n');
            }
        });
        let stdout = child.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
        let mut line = || lines.next().unwrap_or_else(|| panic!("{}", text(&log)));
        let (relay, http) = (line(), line());
        let http = http.rsplit_once('/').and_then(|(_, address)| address.parse().ok());
        let http = http.expect("http://IP:PORT");
        // A certificate is for a name.
        let relay = if is_encrypted { relay.replace("127.0.0.1", "localhost") } else { relay };
        Self { folder, relay, http, child, log, reader: Some(reader), is_encrypted }
    }

    /// Key number so and so, in hexadecimal digits.
    pub fn key(&self, number: u8) -> String {
        fs::read_to_string(self.folder.path().join(format!("{number}.key"))).expect("it is there")
    }

    /// A client of an application.
    pub fn client(&self, key: u8, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("application"));
        command.args(arguments);
        command.env("FARSPAWN_COORDINATOR", &self.relay).env("FARSPAWN_KEY", self.key(key));
        command.env("FARSPAWN_CA", self.folder.path().join("ca.pem"));
        command
    }

    /// Asks it to stop, as a service manager does.
    pub fn terminate(&self) {
        signal(&self.child, "-TERM");
    }

    /// Its process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to read its files again.
    pub fn hang_up(&self) {
        signal(&self.child, "-HUP");
    }

    /// A number of an application's metrics.
    pub fn metric(&self, key: u8, name: &str) -> f64 {
        let text = self.ask("GET /metrics", Some(&self.key(key)), "").text;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.split_once("} "));
        let number = line.and_then(|(_, number)| number.parse().ok());
        number.unwrap_or_else(|| panic!("{name}: {text}"))
    }

    /// Waits until it ends by itself; its status, and all that it wrote.
    pub fn wait(mut self) -> (i32, String) {
        let status = self.child.wait().expect("it is a child");
        if let Some(reader) = self.reader.take() {
            reader.join().ok();
        }
        (status.code().unwrap_or(-1), text(&self.log))
    }

    /// All that it has written until now.
    pub fn log(&self) -> String {
        text(&self.log)
    }

    /// A connection to the HTTP address.
    pub fn connect(&self) -> Box<dyn Stream> {
        let stream = TcpStream::connect(self.http).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("it is a socket");
        if !self.is_encrypted {
            return Box::new(stream);
        }
        let ca = CertificateDer::from_pem_file(self.folder.path().join("ca.pem"));
        let mut roots = RootCertStore::empty();
        roots.add(ca.expect("it was written")).expect("it is a certificate");
        let provider = Arc::new(crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("there are some")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("it is a name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("it is configured");
        Box::new(StreamOwned::new(connection, stream))
    }

    /// Asks, and reads the whole answer.
    pub fn ask(&self, request: &str, key: Option<&str>, body: &str) -> Answer {
        let authorization = key.map(|key| format!("Authorization: Bearer {key}\r\n"));
        self.ask_with(request, &authorization.unwrap_or_default(), body)
    }

    /// The same, with any headers.
    pub fn ask_with(&self, request: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        let head = format!(
            "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\
             Content-Length: {length}\r\n\r\n"
        );
        let mut stream = self.connect();
        // It may answer, and close, before it has read all of a body that it does not want.
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).ok();
        let mut answer = Vec::new();
        // TLS without a farewell is an error to rustls.
        stream.read_to_end(&mut answer).ok();
        Answer::read(&answer)
    }

    /// Asks with the key 1 until the answer is as it should be; not for ever.
    pub fn ask_until(&self, request: &str, holds: impl Fn(&Answer) -> bool) -> Answer {
        let (key, mut last) = (self.key(1), None);
        eventually(request, || {
            let answer = last.insert(self.ask(request, Some(&key), ""));
            holds(answer)
        });
        last.expect("it was asked")
    }

    /// Submits a task for application `a`.
    pub fn submit(&self, body: &Value) -> Answer {
        self.ask("POST /v1/tasks", Some(&self.key(1)), &body.to_string())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What can be read and written.
pub trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// 200, say.
    pub status: u16,
    /// As it came.
    pub head: String,
    /// As it came.
    pub text: String,
    /// The body, if it is JSON.
    pub json: Value,
}

impl Answer {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        // The server names the length of each of its bodies, so there is nothing to put together.
        let json = serde_json::from_str(body).unwrap_or(Value::Null);
        Self { status, head: head.to_owned(), text: body.to_owned(), json }
    }

    /// The word for how the task is.
    pub fn state(&self) -> &str {
        self.json["state"].as_str().unwrap_or("")
    }

    /// What went wrong, in words.
    pub fn error(&self) -> &str {
        self.json["error"].as_str().unwrap_or("")
    }
}

/// Sends a process a signal.
pub fn signal(child: &Child, name: &str) {
    let killed = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(killed.expect("kill is there").success());
}

/// Waits until something holds that nobody announces; not for ever.
#[expect(clippy::disallowed_methods, reason = "what is awaited is another process's affair")]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "still not: {what}");
        thread::yield_now();
    }
}

fn text(log: &Mutex<String>) -> String {
    log.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn write_keys(folder: &Path) {
    for number in 1..=3 {
        fs::write(folder.join(format!("{number}.key")), new_key()).expect("it can be written");
    }
}

/// A key that nobody has yet.
pub fn new_key() -> String {
    let der = KeyPair::generate().expect("there is randomness").serialize_der();
    // The end of a fresh key is as random as a key.
    let tail = &der[der.len() - 32..];
    tail.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes an authority, a server `localhost` that it vouches for, and an authority that nobody
/// knows.
pub fn write_certificates(folder: &Path) {
    let write = |name: &str, text: String| fs::write(folder.join(name), text).expect("a folder");
    let key = || KeyPair::generate().expect("there is randomness");
    let authority = || {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let authority_key = key();
    let signed = authority().self_signed(&authority_key);
    write("ca.pem", signed.expect("it signs itself").pem());
    let issuer = Issuer::new(authority(), authority_key);
    let server_key = key();
    let params = CertificateParams::new(["localhost".to_owned()]).expect("it is a name");
    write("server.pem", params.signed_by(&server_key, &issuer).expect("it is signed").pem());
    write("server.key", server_key.serialize_pem());
    write("stranger.pem", authority().self_signed(&key()).expect("it signs itself").pem());
}
