//! The outline of a directory.

use std::path::Path;

/// How many entries of a directory are shown.
const SHOWN: usize = 4;

/// The tree below `root`, one line per entry; long directories are cut.
pub(crate) fn outline(root: &Path) -> Vec<String> {
    let mut lines = vec![format!("{}/", name(root))];
    add(root, "  ", &mut lines);
    lines
}

fn add(dir: &Path, indent: &str, lines: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths.iter().take(SHOWN) {
        if path.is_dir() {
            lines.push(format!("{indent}{}/", name(path)));
            add(path, &format!("{indent}  "), lines);
        } else {
            let bytes = path.metadata().map_or(0, |m| m.len());
            lines.push(format!("{indent}{} ({bytes} bytes)", name(path)));
        }
    }
    if paths.len() > SHOWN {
        lines.push(format!("{indent}... and {} more", paths.len() - SHOWN));
    }
}

fn name(path: &Path) -> String {
    path.file_name()
        .map(|n| crate::exit::one_line(&n.to_string_lossy()))
        .unwrap_or_default()
}
