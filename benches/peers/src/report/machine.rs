//! What the figures depend on.

use std::fs;
use std::path::Path;
use std::process::Command;

const LOCK: &str = include_str!("../../../../Cargo.lock");

/// Names and facts.
pub(crate) struct Machine {
    pub(crate) facts: Vec<(String, String)>,
}

impl Machine {
    /// The versions of the stores, in a sentence.
    pub(crate) fn versions() -> String {
        let others = ["redb", "tephra", "batpak"].map(|name| format!("{name} {}", version(name)));
        format!(
            "sessionlog {}, SQLite {}, {}.",
            sessionlog(),
            rusqlite::version(),
            others.join(", ")
        )
    }

    /// Looks at the machine, and at the file system that holds `dir`.
    pub(crate) fn look(dir: &Path, package: Option<&str>) -> Self {
        let mut facts = vec![
            ("processor", processor()),
            ("memory", memory()),
            ("kernel", line_of("/proc/sys/kernel/osrelease")),
            ("load when the run began", load()),
            ("scheduling of this process", scheduling()),
            ("file system", file_system(dir)),
            ("compiler", output("rustc", &["--version"])),
            ("sessionlog", sessionlog()),
            ("SQLite", rusqlite::version().to_owned()),
        ];
        for name in ["redb", "tephra", "batpak"] {
            facts.push((name, version(name)));
        }
        facts.extend(package.map(|version| ("strands-agents", version.to_owned())));
        Self {
            facts: facts.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
        }
    }
}

fn processor() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models = cpus.lines().filter_map(|l| l.strip_prefix("model name"));
    let models: Vec<_> = models.map(|m| m.trim_matches([' ', '\t', ':'])).collect();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{} ({cores} cores)", models.first().unwrap_or(&"unknown"))
}

fn memory() -> String {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = info.lines().find_map(|l| l.strip_prefix("MemTotal:"));
    total.unwrap_or("unknown").trim().to_owned()
}

fn load() -> String {
    let load = line_of("/proc/loadavg");
    load.split(' ').take(3).collect::<Vec<_>>().join(", ")
}

/// The real-time priority, which keeps a busy machine's other work from delaying every wake-up by a tick.
fn scheduling() -> String {
    let stat = line_of("/proc/self/stat");
    // Counted from the end of the name, which may have spaces: priority is the 40th field of all, policy the 41st.
    let fields: Vec<_> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    match (fields.get(37), fields.get(38)) {
        (Some(&"0"), _) => "the default".to_owned(),
        (Some(priority), Some(_)) => format!("real-time, priority {priority} (`chrt`)"),
        _ => "unknown".to_owned(),
    }
}

/// Type, device and options of the mount that holds a directory.
fn file_system(dir: &Path) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let fields = mounts.lines().map(|l| l.split(' ').collect::<Vec<_>>());
    let holds = fields.filter(|f| f.len() > 3 && dir.starts_with(f[1]));
    let closest = holds.max_by_key(|f| f[1].len());
    closest.map_or("unknown".to_owned(), |f| format!("{} ({})", f[2], f[3]))
}

fn sessionlog() -> String {
    let commit = output("git", &["rev-parse", "--short", "HEAD"]);
    format!("{} at {commit}", env!("CARGO_PKG_VERSION"))
}

/// A locked dependency's version.
fn version(name: &str) -> String {
    let entry = format!("name = \"{name}\"\nversion = \"");
    let after = LOCK.split_once(&entry).map(|(_, after)| after);
    let version = after.and_then(|after| after.split('"').next());
    version.unwrap_or("unknown").to_owned()
}

fn line_of(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.trim().to_owned()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned());
    text.ok()
        .filter(|t| !t.is_empty())
        .unwrap_or("unknown".to_owned())
}
