//! Changes of a JSON value as text: a subset of JSON Patch (RFC 6902) with `add`, `replace` and `remove`.
//!
//! Numbers and strings keep their spelling, and key order is kept, which the patch crates on top of
//! `serde_json::Value` cannot promise.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::json::{Json, Kind, write_string};

/// The patch that turns `old` into `new`; `None` if they are the same.
pub(crate) fn diff(old: Json<'_>, new: Json<'_>) -> Option<String> {
    if old.same(new) {
        return None;
    }
    let mut ops = Ops::default();
    ops.change(&mut String::new(), old, new);
    Some(format!("[{}]", ops.text))
}

#[derive(Default)]
struct Ops {
    text: String,
}

impl Ops {
    fn push(&mut self, op: &str, path: &str, value: Option<Json<'_>>) {
        if !self.text.is_empty() {
            self.text.push(',');
        }
        self.text.push_str("{\"op\":\"");
        self.text.push_str(op);
        self.text.push_str("\",\"path\":");
        write_string(path, &mut self.text);
        if let Some(value) = value {
            self.text.push_str(",\"value\":");
            value.write_minified(&mut self.text);
        }
        self.text.push('}');
    }

    /// Adds the operations for one place, or a single `replace` where that is shorter.
    fn change(&mut self, path: &mut String, old: Json<'_>, new: Json<'_>) {
        if old.same(new) {
            return;
        }
        let mut inner = Self::default();
        let descended = match (old.kind(), new.kind()) {
            (Kind::Object, Kind::Object) => inner.members(path, old, new),
            (Kind::Array, Kind::Array) => inner.elements(path, old, new),
            _ => false,
        };
        if descended && inner.text.len() < new.text().len() + path.len() + 32 {
            if !self.text.is_empty() {
                self.text.push(',');
            }
            self.text.push_str(&inner.text);
        } else {
            self.push("replace", path, Some(new));
        }
    }

    /// `false` if the members cannot be told apart by path, or not be brought into the new order.
    fn members(&mut self, path: &mut String, old: Json<'_>, new: Json<'_>) -> bool {
        let (Some(old), Some(new)) = (keyed(old), keyed(new)) else {
            return false;
        };
        let kept = old
            .list
            .iter()
            .map(|(key, _)| key)
            .filter(|key| new.get(key).is_some());
        if !kept.eq(new
            .list
            .iter()
            .map(|(key, _)| key)
            .take_while(|key| old.get(key).is_some()))
        {
            return false;
        }
        let base = path.len();
        for (key, _) in old.list.iter().filter(|(key, _)| new.get(key).is_none()) {
            push_token(path, key);
            self.push("remove", path, None);
            path.truncate(base);
        }
        for (key, value) in &new.list {
            push_token(path, key);
            match old.get(key) {
                Some(before) => self.change(path, before, *value),
                None => self.push("add", path, Some(*value)),
            }
            path.truncate(base);
        }
        true
    }

    fn elements(&mut self, path: &mut String, old: Json<'_>, new: Json<'_>) -> bool {
        let (old, new): (Vec<_>, Vec<_>) = (old.elements().collect(), new.elements().collect());
        let base = path.len();
        for (i, (before, after)) in old.iter().zip(&new).enumerate() {
            push_token(path, &i.to_string());
            self.change(path, *before, *after);
            path.truncate(base);
        }
        for i in (new.len()..old.len()).rev() {
            push_token(path, &i.to_string());
            self.push("remove", path, None);
            path.truncate(base);
        }
        push_token(path, "-");
        for value in new.iter().skip(old.len()) {
            self.push("add", path, Some(*value));
        }
        path.truncate(base);
        true
    }
}

/// The members of an object by decoded key.
struct Keyed<'a> {
    list: Vec<(Cow<'a, str>, Json<'a>)>,
    index: HashMap<Cow<'a, str>, Json<'a>>,
}

impl<'a> Keyed<'a> {
    fn get(&self, key: &str) -> Option<Json<'a>> {
        self.index.get(key).copied()
    }
}

/// `None` if a key occurs twice or cannot be decoded.
fn keyed(object: Json<'_>) -> Option<Keyed<'_>> {
    let mut keyed = Keyed {
        list: Vec::new(),
        index: HashMap::new(),
    };
    for (key, value) in object.members() {
        let key = key.decoded()?;
        if keyed.index.insert(key.clone(), value).is_some() {
            return None;
        }
        keyed.list.push((key, value));
    }
    Some(keyed)
}

fn push_token(path: &mut String, key: &str) {
    path.push('/');
    for c in key.chars() {
        match c {
            '~' => path.push_str("~0"),
            '/' => path.push_str("~1"),
            _ => path.push(c),
        }
    }
}

/// Why a patch cannot be applied: it was not made for this value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch;

/// Applies patches, one after the other, to `base`; returns the minified value.
pub(crate) fn apply(base: &str, patches: &[&str]) -> Result<String, Mismatch> {
    let mut root = Node::Text(Cow::Borrowed(base));
    for patch in patches {
        let patch = Json::parse(patch).map_err(|_| Mismatch)?;
        for op in patch.elements() {
            apply_op(&mut root, op)?;
        }
    }
    let mut out = String::with_capacity(base.len());
    root.write(&mut out)?;
    Ok(out)
}

/// A value that is taken apart only where a patch reaches into it.
enum Node<'a> {
    Text(Cow<'a, str>),
    Object(Vec<(String, Node<'a>)>),
    Array(Vec<Node<'a>>),
}

impl Node<'_> {
    fn open(&mut self) -> Result<(), Mismatch> {
        let Self::Text(text) = self else {
            return Ok(());
        };
        let json = Json::parse(text).map_err(|_| Mismatch)?;
        let text = |value: Json<'_>| Node::Text(Cow::Owned(value.text().to_owned()));
        let opened = match json.kind() {
            Kind::Object => Node::Object(
                json.members()
                    .map(|(k, v)| (k.text().to_owned(), text(v)))
                    .collect(),
            ),
            Kind::Array => Node::Array(json.elements().map(text).collect()),
            _ => return Err(Mismatch),
        };
        *self = opened;
        Ok(())
    }

    fn write(&self, out: &mut String) -> Result<(), Mismatch> {
        match self {
            Self::Text(text) => Json::parse(text).map_err(|_| Mismatch)?.write_minified(out),
            Self::Object(members) => {
                out.push('{');
                for (i, (key, value)) in members.iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { "," });
                    Json::parse(key).map_err(|_| Mismatch)?.write_minified(out);
                    out.push(':');
                    value.write(out)?;
                }
                out.push('}');
            }
            Self::Array(elements) => {
                out.push('[');
                for (i, value) in elements.iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { "," });
                    value.write(out)?;
                }
                out.push(']');
            }
        }
        Ok(())
    }
}

fn apply_op(root: &mut Node<'_>, op: Json<'_>) -> Result<(), Mismatch> {
    let field = |name: &str| op.get(name).and_then(Json::as_str).ok_or(Mismatch);
    let (name, path) = (field("op")?, field("path")?);
    let value = op
        .get("value")
        .map(|v| Node::Text(Cow::Owned(v.text().to_owned())));
    let Some((parent, token)) = path.rsplit_once('/') else {
        *root = value
            .filter(|_| path.is_empty() && name == "replace")
            .ok_or(Mismatch)?;
        return Ok(());
    };
    let mut node = root;
    for token in parent.split('/').skip(1) {
        node.open()?;
        node = child(node, &unescape(token))?;
    }
    node.open()?;
    let token = unescape(token);
    match (name.as_ref(), value, node) {
        ("remove", None, Node::Object(members)) => {
            let at = members
                .iter()
                .position(|(k, _)| is_key(k, &token))
                .ok_or(Mismatch)?;
            members.remove(at);
        }
        ("remove", None, Node::Array(elements)) => {
            let at = index(&token, elements.len())?;
            elements.remove(at);
        }
        ("add", Some(value), Node::Object(members)) => {
            let mut key = String::new();
            write_string(&token, &mut key);
            members.push((key, value));
        }
        ("add", Some(value), Node::Array(elements)) if token == "-" => elements.push(value),
        ("replace", Some(value), node) => *child(node, &token)? = value,
        _ => return Err(Mismatch),
    }
    Ok(())
}

fn child<'n, 'a>(node: &'n mut Node<'a>, token: &str) -> Result<&'n mut Node<'a>, Mismatch> {
    match node {
        Node::Object(members) => {
            let found = members.iter_mut().find(|(k, _)| is_key(k, token));
            found.map(|(_, value)| value).ok_or(Mismatch)
        }
        Node::Array(elements) => {
            let at = index(token, elements.len())?;
            elements.get_mut(at).ok_or(Mismatch)
        }
        Node::Text(_) => Err(Mismatch),
    }
}

fn index(token: &str, len: usize) -> Result<usize, Mismatch> {
    token.parse().ok().filter(|i| *i < len).ok_or(Mismatch)
}

fn is_key(key_text: &str, key: &str) -> bool {
    Json::parse(key_text)
        .ok()
        .and_then(Json::as_str)
        .is_some_and(|k| k == key)
}

fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The patch from `old` to `new`, applied to `old`.
    fn patched(old: &str, new: &str) -> (String, String) {
        let patch = diff(Json::parse(old).unwrap(), Json::parse(new).unwrap());
        let patch = patch.unwrap_or_else(|| "[]".to_owned());
        let found = apply(old, &[&patch]).unwrap();
        (patch, found)
    }

    #[test]
    fn a_patch_of_any_shape_leads_to_the_new_value() {
        let long = "x".repeat(200);
        for (old, new) in [
            (
                format!(r#"{{"a":[1,2,3],"b":"{long}"}}"#),
                format!(r#"{{"a":[1,5],"b":"{long}"}}"#),
            ),
            (
                format!(r#"{{"a":[],"b":"{long}"}}"#),
                format!(r#"{{"a":[1,{{}}],"b":"{long}"}}"#),
            ),
            (
                format!(r#"{{"~/":1,"b":"{long}"}}"#),
                format!(r#"{{"~/":2,"b":"{long}","c":3}}"#),
            ),
            (
                format!(r#"{{"a":1,"b":"{long}"}}"#),
                format!(r#"{{"b":"{long}"}}"#),
            ),
            // Members that change places, or come twice, cannot be told apart by path.
            (r#"{"a":1,"b":2}"#.to_owned(), r#"{"b":2,"a":1}"#.to_owned()),
            (r#"{"a":1,"a":2}"#.to_owned(), r#"{"a":1,"a":3}"#.to_owned()),
            ("[1]".to_owned(), "{}".to_owned()),
        ] {
            let (patch, found) = patched(&old, &new);
            assert_eq!(found, new, "{patch}");
        }
    }

    #[test]
    fn a_patch_that_was_made_for_another_value_is_refused() {
        // That is what is left to apply where a change before it was lost to damage.
        for (base, patch) in [
            (r#"{"a":1}"#, r#"[{"op":"replace","path":"/b","value":1}]"#),
            (
                r#"{"a":1}"#,
                r#"[{"op":"replace","path":"/a/b","value":1}]"#,
            ),
            (r#"{"a":1}"#, r#"[{"op":"remove","path":"/b"}]"#),
            (r#"{"a":[1]}"#, r#"[{"op":"remove","path":"/a/1"}]"#),
            (r#"{"a":[1]}"#, r#"[{"op":"remove","path":"/a/x"}]"#),
            (
                r#"{"a":[1]}"#,
                r#"[{"op":"replace","path":"/a/1","value":2}]"#,
            ),
            (r#"{"a":[1]}"#, r#"[{"op":"add","path":"/a/0","value":2}]"#),
            (r#"{"a":1}"#, r#"[{"op":"add","path":"","value":2}]"#),
            (r#"{"a":1}"#, r#"[{"op":"replace","path":"a","value":2}]"#),
            (r#"{"a":1}"#, r#"[{"path":"/a"}]"#),
            (r#"{"a":1}"#, "not JSON"),
            ("not JSON", r#"[{"op":"replace","path":"/a","value":2}]"#),
        ] {
            assert_eq!(apply(base, &[patch]), Err(Mismatch), "{base} {patch}");
        }
    }
}
