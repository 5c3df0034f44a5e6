//! A real writer in a real process, killed while it writes.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sessionlog::json::Json;

use crate::exit::Failure;

/// After how many acknowledgements the writer is killed.
const ENOUGH: usize = 25;

/// Starts `append` on the session, feeds it without end, kills it after some acknowledgements, and returns what it
/// had acknowledged (version and message id), and how long a torn tail it left in bytes.
pub(crate) fn kill_a_writer(
    store: &Path,
    session: &str,
) -> Result<(Vec<(u64, u64)>, u64), Failure> {
    let stream = |what| move |e| Failure::Stream(what, e);
    let program = std::env::current_exe().map_err(stream("finding this program"))?;
    let mut writer = Command::new(program)
        .arg("--store")
        .arg(store)
        .args(["append", session])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(stream("starting a writer"))?;
    let feeding = feed(&mut writer);
    let output = writer.stdout.take();
    let mut lines = output
        .into_iter()
        .flat_map(|out| BufReader::new(out).lines());
    let mut acknowledged: Vec<_> = lines.by_ref().take(ENOUGH).map_while(Result::ok).collect();
    // The writer is in the middle of a later append now.
    std::thread::sleep(Duration::from_micros(700));
    writer.kill().map_err(stream("killing the writer"))?;
    writer.wait().map_err(stream("waiting for the writer"))?;
    // What it acknowledged before it died is still in the pipe.
    acknowledged.extend(lines.map_while(Result::ok));
    let _ = feeding.join();
    let torn = sessionlog::Store::open(store)?
        .read(session)?
        .log()?
        .torn_bytes;
    Ok((
        acknowledged.iter().filter_map(|line| parse(line)).collect(),
        torn,
    ))
}

/// Feeds the writer until it is gone.
fn feed(writer: &mut Child) -> std::thread::JoinHandle<()> {
    let input = writer.stdin.take();
    std::thread::spawn(move || {
        let Some(mut input) = input else { return };
        for i in 0_u64.. {
            let text = format!("message {i} of a writer that is about to die ");
            let message = format!(
                "{{\"role\":\"user\",\"content\":[{{\"text\":\"{}\"}}]}}\n",
                text.repeat(20)
            );
            if input.write_all(message.as_bytes()).is_err() {
                return;
            }
        }
    })
}

/// Version and message id of an acknowledgement.
fn parse(line: &str) -> Option<(u64, u64)> {
    let ack = Json::parse(line).ok()?;
    Some((
        ack.get("version")?.as_u64()?,
        ack.get("message_id")?.as_u64()?,
    ))
}
