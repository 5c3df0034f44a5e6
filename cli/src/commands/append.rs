//! `append`: JSON Lines in, one acknowledgement per message out.

use std::io::{self, BufRead};

use sessionlog::{Batch, Durability, Error, Session, Store, Version};

use crate::exit::Failure;
use crate::output::{Object, json_line};

/// The longest line that is read: what a commit can hold, in bytes.
const MAX_LINE: usize = 64 << 20;

/// What to append to.
pub(crate) struct Request<'a> {
    pub(crate) session: &'a str,
    pub(crate) agent: &'a str,
    pub(crate) expect: Option<Version>,
    pub(crate) durability: Durability,
    pub(crate) batch: usize,
}

/// Appends what stdin has.
pub(crate) fn run(store: &Store, request: &Request<'_>) -> Result<u8, Failure> {
    let session = store.session(request.session)?;
    let mut appender = Appender {
        session: &session,
        request,
        expect: request.expect,
        held: Vec::new(),
    };
    let (mut input, mut line, mut number) = (io::stdin().lock(), Vec::new(), 0);
    let mut lines = Vec::new();
    loop {
        number += 1;
        let more = read_line(&mut input, &mut line, number)?;
        let text = std::str::from_utf8(&line).map_err(|e| {
            Failure::Input(format!(
                "line {number}: not UTF-8 at byte {}",
                e.valid_up_to()
            ))
        });
        match text {
            Ok(text) if text.trim().is_empty() => {}
            Ok(text) => lines.push((number, text.to_owned())),
            Err(failure) => {
                appender.commit(&mut lines)?;
                appender.finish()?;
                return Err(failure);
            }
        }
        if lines.len() >= request.batch || !more {
            appender.commit(&mut lines)?;
        }
        if !more {
            break;
        }
    }
    appender.finish()?;
    session.close()?;
    Ok(0)
}

struct Appender<'a> {
    session: &'a Session,
    request: &'a Request<'a>,
    /// Of the first commit.
    expect: Option<Version>,
    /// Acknowledgements of buffered messages.
    held: Vec<(Version, u64)>,
}

impl Appender<'_> {
    /// Commits the lines together and acknowledges them. A line that cannot be used leaves none of its batch, and
    /// all of the batches before it.
    fn commit(&mut self, lines: &mut Vec<(u64, String)>) -> Result<(), Failure> {
        let Some((first, _)) = lines.first() else {
            return Ok(());
        };
        let (first, count) = (*first, lines.len() as u64);
        let mut batch: Batch<'_> = self.session.batch().durability(self.request.durability);
        if let Some(expect) = self.expect.take() {
            batch = batch.expect_version(expect);
        }
        for (number, text) in lines.drain(..) {
            let added = batch.append_json(self.request.agent, &text);
            batch = match added {
                Ok(batch) => batch,
                Err(error) => {
                    self.finish()?;
                    return Err(Failure::Library(error, Some(number)));
                }
            };
        }
        let done = match batch.commit() {
            Ok(done) => done,
            Err(error @ (Error::TooLarge { .. } | Error::InvalidInput { .. })) => {
                self.finish()?;
                return Err(Failure::Library(error, Some(first)));
            }
            Err(error) => return Err(error.into()),
        };
        for back in (0..count).rev() {
            let ack = (Version(done.version.0 - back), done.message_id - back);
            if self.request.durability == Durability::Buffered {
                self.held.push(ack);
            } else {
                self.acknowledge(ack)?;
            }
        }
        Ok(())
    }

    /// Makes buffered messages durable and acknowledges them.
    fn finish(&mut self) -> Result<(), Failure> {
        if !self.held.is_empty() {
            self.session.flush()?;
        }
        let held = std::mem::take(&mut self.held);
        held.into_iter().try_for_each(|ack| self.acknowledge(ack))
    }

    fn acknowledge(&self, (version, message_id): (Version, u64)) -> Result<(), Failure> {
        let ack = Object::default()
            .value("version", version)
            .text("agent_id", self.request.agent)
            .value("message_id", message_id);
        json_line(&ack.finish())
    }
}

/// Reads one line without its ending; `false` at the end of the input. Memory is bounded by the limit.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>, number: u64) -> Result<bool, Failure> {
    line.clear();
    loop {
        let chunk = input
            .fill_buf()
            .map_err(|e| Failure::Stream("reading stdin", e))?;
        if chunk.is_empty() {
            return Ok(false);
        }
        let end = chunk.iter().position(|b| *b == b'\n');
        let taken = end.map_or(chunk.len(), |end| end + 1);
        if line.len() + taken > MAX_LINE + 1 {
            let text = format!(
                "line {number}: longer than {MAX_LINE} bytes, the most that one commit can hold"
            );
            return Err(Failure::Input(text));
        }
        line.extend_from_slice(&chunk[..taken]);
        input.consume(taken);
        if end.is_some() {
            line.pop();
            return Ok(true);
        }
    }
}

/// Reads all of stdin as one text.
pub(crate) fn read_all() -> Result<String, Failure> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let limit = MAX_LINE as u64 + 1;
    let read = io::stdin().lock().take(limit).read_to_end(&mut bytes);
    read.map_err(|e| Failure::Stream("reading stdin", e))?;
    if bytes.len() as u64 >= limit {
        return Err(Failure::Input(format!(
            "stdin: longer than {MAX_LINE} bytes"
        )));
    }
    String::from_utf8(bytes).map_err(|e| {
        Failure::Input(format!(
            "stdin: not UTF-8 at byte {}",
            e.utf8_error().valid_up_to()
        ))
    })
}
