//! A real S3 server: moto, or the one that `SESSIONLOG_S3_ENDPOINT` names.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use sessionlog::sync::{S3Options, S3Remote};

pub(crate) const BUCKET: &str = "sessions";
static PREFIXES: AtomicU32 = AtomicU32::new(0);

/// A server, and a prefix of its bucket that nobody else uses.
pub(crate) struct Server {
    process: Option<Child>,
    pub(crate) endpoint: String,
    prefix: String,
}

impl Server {
    /// `None` with a note if there is no server to be had: see docs/TESTING.md.
    pub(crate) fn start() -> Option<Self> {
        let count = PREFIXES.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("test-{}-{count}", std::process::id());
        if let Ok(endpoint) = std::env::var("SESSIONLOG_S3_ENDPOINT") {
            return Some(Self {
                process: None,
                endpoint,
                prefix,
            });
        }
        let python = std::env::var("SESSIONLOG_MOTO_PYTHON").unwrap_or("python3".to_owned());
        // The command line's tests use this file too.
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/s3_server.py");
        let above = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/servers/s3_server.py");
        let script = if Path::new(here).exists() {
            here
        } else {
            above
        };
        let process = Command::new(python)
            .args([script, "0", BUCKET])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut process = process.ok()?;
        let mut line = String::new();
        BufReader::new(process.stdout.take()?)
            .read_line(&mut line)
            .ok()?;
        let Some(port) = line.trim().strip_prefix("ready ") else {
            assert!(
                std::env::var("SESSIONLOG_MOTO_PYTHON").is_err(),
                "moto did not start"
            );
            println!(
                "skipped: no S3 server; pip install 'moto[server]', or set SESSIONLOG_S3_ENDPOINT"
            );
            return None;
        };
        Some(Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            process: Some(process),
            prefix,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("s3://{BUCKET}/{}", self.prefix)
    }

    pub(crate) fn remote(&self) -> S3Remote {
        self.remote_at(&self.endpoint)
    }

    pub(crate) fn remote_at(&self, endpoint: &str) -> S3Remote {
        S3Remote::open(&self.url(), &options(endpoint)).unwrap()
    }
}

pub(crate) fn options(endpoint: &str) -> S3Options {
    S3Options {
        endpoint: Some(endpoint.to_owned()),
        region: Some("us-east-1".to_owned()),
        allow_http: true,
        keys: Some(("test".to_owned(), "testtest".to_owned())),
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
