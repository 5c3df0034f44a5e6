//! The records of sessions and agents that are made here, and changes of them. Pure.

use crate::json::{Json, write_string};
use crate::time::iso;
use crate::{Error, Result};

/// The record of a session that begins now.
pub(crate) fn session_record(id: &str, time_us: u64) -> String {
    let mut record = String::from("{\"session_id\":");
    write_string(id, &mut record);
    record.push_str(",\"session_type\":\"AGENT\"");
    push_timestamps(&mut record, time_us);
    record
}

/// The record of an agent that begins now.
pub(crate) fn agent_record(id: &str, time_us: u64) -> String {
    let mut record = String::from("{\"agent_id\":");
    write_string(id, &mut record);
    record.push_str(",\"state\":{},\"conversation_manager_state\":{},\"_internal_state\":{}");
    push_timestamps(&mut record, time_us);
    record
}

/// The record with these members set, each in its place; new ones stand before the timestamps.
pub(crate) fn with_members(record: &str, parts: &[(&'static str, String)]) -> Result<String> {
    let json = Json::parse(record).map_err(|source| Error::InvalidJson {
        what: "the record".to_owned(),
        source,
    })?;
    let mut missing: Vec<_> = parts
        .iter()
        .filter(|(name, _)| json.get(name).is_none())
        .collect();
    let mut out = String::from("{");
    let mut put = |key: &str, value: &str| {
        out.push_str(if out.len() > 1 { "," } else { "" });
        out.push_str(key);
        out.push(':');
        out.push_str(value);
    };
    for (key, value) in json.members() {
        if key.is("created_at") {
            for (name, value) in missing.drain(..) {
                put(&format!("\"{name}\""), value);
            }
        }
        let part = parts.iter().find(|(name, _)| key.is(name));
        put(key.text(), part.map_or(value.text(), |(_, text)| text));
    }
    for (name, value) in missing {
        put(&format!("\"{name}\""), value);
    }
    out.push('}');
    minified(&out)
}

/// The record with `updated_at` set to now, as a change of it would have it.
pub(super) fn touched(record: &str, time_us: u64) -> Result<String> {
    let mut now = String::new();
    write_string(&iso(time_us), &mut now);
    let has = Json::parse(record).is_ok_and(|json| json.get("updated_at").is_some());
    if has {
        with_members(record, &[("updated_at", now)])
    } else {
        Ok(record.to_owned())
    }
}

fn minified(text: &str) -> Result<String> {
    Json::parse(text)
        .map(Json::minified)
        .map_err(|source| Error::InvalidJson {
            what: "the record".to_owned(),
            source,
        })
}

fn push_timestamps(record: &mut String, time_us: u64) {
    let now = iso(time_us);
    for part in [
        ",\"created_at\":\"",
        &now,
        "\",\"updated_at\":\"",
        &now,
        "\"}",
    ] {
        record.push_str(part);
    }
}
