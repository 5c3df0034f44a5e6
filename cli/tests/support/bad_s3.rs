//! An S3 server in memory, only as much of one as sync needs, that can be made to misbehave.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What the server does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manners {
    Good,
    /// Takes every put, whatever its condition says.
    IgnoresConditions,
}

type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// The server, with the bucket `sessions` and the access key `test`.
pub(crate) struct BadS3 {
    pub(crate) endpoint: String,
    objects: Objects,
}

struct Request {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl BadS3 {
    pub(crate) fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let objects = Objects::default();
        let served = Arc::clone(&objects);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let objects = Arc::clone(&served);
                std::thread::spawn(move || serve(client, &objects, manners));
            }
        });
        Self { endpoint, objects }
    }

    /// Changes the object whose key ends so; `None` removes it.
    pub(crate) fn change(&self, ending: &str, change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>) {
        let mut objects = self.objects.lock().unwrap();
        let key = objects.keys().find(|key| key.ends_with(ending));
        let key = key.expect("there is such an object").clone();
        let old = objects.remove(&key).unwrap();
        if let Some(new) = change(old) {
            objects.insert(key, new);
        }
    }
}

fn serve(mut client: TcpStream, objects: &Objects, manners: Manners) {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    while let Some(request) = read(&mut reader) {
        let (status, tag, body) = answer(&request, objects, manners);
        let head = format!(
            "HTTP/1.1 {status}\r\nETag: \"{tag}\"\r\nLast-Modified: Fri, 01 Aug 2025 00:00:00 GMT\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        if client.write_all(head.as_bytes()).is_err() || client.write_all(&body).is_err() {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|got| *got > 0)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let len = headers
        .get("content-length")
        .map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; len];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        method,
        path,
        headers,
        body,
    })
}

fn answer(request: &Request, objects: &Objects, manners: Manners) -> (&'static str, u32, Vec<u8>) {
    let error = |status, code: &str| {
        let text = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
        (status, 0, text.into_bytes())
    };
    let header = |name: &str| request.headers.get(name).map(|v| v.trim_matches('"'));
    if !header("authorization").is_some_and(|text| text.contains("Credential=test/")) {
        return error("403 Forbidden", "InvalidAccessKeyId");
    }
    if request.path.starts_with("/sessions?") {
        let empty = "<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>";
        return ("200 OK", 0, empty.into());
    }
    let Some(key) = request.path.strip_prefix("/sessions/") else {
        return error("404 Not Found", "NoSuchBucket");
    };
    let mut objects = objects.lock().unwrap();
    let tag = objects.get(key).map(|bytes| crc32fast::hash(bytes));
    match request.method.as_str() {
        "PUT" => {
            let unchanged = header("if-match")
                .is_none_or(|wanted| tag.is_some_and(|tag| wanted == tag.to_string()));
            let absent = header("if-none-match").is_none() || tag.is_none();
            if manners == Manners::Good && !(unchanged && absent) {
                return error("412 Precondition Failed", "PreconditionFailed");
            }
            objects.insert(key.to_owned(), request.body.clone());
            ("200 OK", crc32fast::hash(&request.body), Vec::new())
        }
        "GET" => match objects.get(key) {
            Some(bytes) => ("200 OK", tag.unwrap_or_default(), bytes.clone()),
            None => error("404 Not Found", "NoSuchKey"),
        },
        _ => {
            objects.remove(key);
            ("204 No Content", 0, Vec::new())
        }
    }
}
