//! What goes to stdout: JSON lines and short tables.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};

use sessionlog::json::write_string;

use crate::exit::Failure;

/// A heading, or what stands out.
pub(crate) const STRONG: Style = Style::new().bold();
/// What stands back.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// All is well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Something is wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Names and versions.
pub(crate) const NAME: Style = AnsiColor::Cyan.on_default();

/// One JSON object, put together from texts.
#[derive(Debug, Default)]
pub(crate) struct Object(String);

impl Object {
    /// Adds a member that is JSON text already.
    pub(crate) fn raw(mut self, key: &str, value: &str) -> Self {
        self.0.push_str(if self.0.is_empty() { "" } else { "," });
        write_string(key, &mut self.0);
        self.0.push(':');
        self.0.push_str(value);
        self
    }

    /// Adds a string.
    pub(crate) fn text(self, key: &str, value: &str) -> Self {
        self.raw(key, &quoted(value))
    }

    /// Adds a number or a boolean.
    pub(crate) fn value(self, key: &str, value: impl std::fmt::Display) -> Self {
        self.raw(key, &value.to_string())
    }

    /// Adds an array of JSON texts.
    pub(crate) fn list(self, key: &str, values: impl IntoIterator<Item = String>) -> Self {
        let values: Vec<_> = values.into_iter().collect();
        self.raw(key, &format!("[{}]", values.join(",")))
    }

    /// The object as JSON text.
    pub(crate) fn finish(self) -> String {
        format!("{{{}}}", self.0)
    }
}

/// A string as JSON text.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::new();
    write_string(text, &mut out);
    out
}

/// Prints a line on stdout.
pub(crate) fn line(text: impl std::fmt::Display) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{text}").map_err(|e| Failure::Stream("writing the answer", e))
}

/// Prints JSON text as one line on stdout and flushes it.
pub(crate) fn json_line(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let done = out
        .write_all(text.as_bytes())
        .and_then(|()| out.write_all(b"\n"));
    done.and_then(|()| out.flush())
        .map_err(|e| Failure::Stream("writing the answer", e))
}

/// A note for people on stderr.
pub(crate) fn note(quiet: bool, text: impl std::fmt::Display) {
    if !quiet {
        anstream::eprintln!("{FAINT}{text}{FAINT:#}");
    }
}

/// A progress bar on stderr, if that is a terminal and nobody asked for quiet.
pub(crate) fn progress_bar(quiet: bool, what: &str) -> indicatif::ProgressBar {
    if quiet || !io::stderr().is_terminal() {
        return indicatif::ProgressBar::hidden();
    }
    let style = indicatif::ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len} {eta}");
    let style = style.unwrap_or_else(|_| indicatif::ProgressStyle::default_bar());
    let bar = indicatif::ProgressBar::new(0).with_style(style);
    bar.set_message(what.to_owned());
    bar
}

/// Bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = (0..4)
        .take_while(|unit| bytes >> (10 * (unit + 1)) > 0)
        .count();
    if unit == 0 {
        return format!("{bytes} B");
    }
    let tenths = (bytes >> (10 * (unit - 1))) * 10 / 1024;
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}
