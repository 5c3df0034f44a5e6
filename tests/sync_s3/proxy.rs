//! A network that loses answers: it passes requests on, and cuts the connection instead of some answers.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) struct Proxy {
    pub(crate) endpoint: String,
    cuts: Arc<AtomicU64>,
}

impl Proxy {
    /// Cuts the connection instead of every `nth` answer.
    pub(crate) fn start(server: &str, nth: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let server = server.trim_start_matches("http://").to_owned();
        let (answers, cuts) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&cuts);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(upstream) = TcpStream::connect(&server) else {
                    continue;
                };
                let (answers, cuts) = (Arc::clone(&answers), Arc::clone(&counted));
                let requests = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
                std::thread::spawn(move || pass(requests.0, requests.1, &mut || true));
                std::thread::spawn(move || {
                    pass(upstream, client, &mut || {
                        let cut = answers.fetch_add(1, Ordering::Relaxed) % nth == nth - 1;
                        cuts.fetch_add(u64::from(cut), Ordering::Relaxed);
                        !cut
                    });
                });
            }
        });
        Self { endpoint, cuts }
    }

    pub(crate) fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, may: &mut dyn FnMut() -> bool) {
    let mut buf = [0; 16 << 10];
    while let Ok(got @ 1..) = from.read(&mut buf) {
        if !may() || to.write_all(&buf[..got]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
