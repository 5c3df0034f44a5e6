//! Why a request to a bucket failed.

use std::error::Error as StdError;

use object_store::Error;
use object_store::client::{HttpError, HttpErrorKind};

/// Why a request failed: no more than what is safe to show.
#[derive(Debug, Default)]
pub(crate) struct Failed {
    pub(crate) status: Option<u16>,
    /// The server's own word, such as `NoSuchBucket`.
    pub(crate) code: Option<String>,
    /// The request did not leave this machine.
    pub(crate) not_sent: bool,
    not_found: bool,
    kind: &'static str,
}

impl Failed {
    pub(crate) fn of(error: &Error) -> Self {
        let mut failed = Self {
            kind: "the request failed",
            ..Self::default()
        };
        let mut next: Option<&(dyn StdError + 'static)> = Some(error);
        let mut whole = String::new();
        while let Some(error) = next {
            if let Some(http) = error.downcast_ref::<HttpError>() {
                failed.kind = match http.kind() {
                    HttpErrorKind::Connect => "no connection",
                    HttpErrorKind::Timeout => "no answer in time",
                    HttpErrorKind::Interrupted | HttpErrorKind::Request => {
                        "the connection was lost"
                    }
                    _ => "the answer cannot be read",
                };
                failed.not_sent = http.kind() == HttpErrorKind::Connect;
            }
            whole.push_str(&error.to_string());
            next = error.source();
        }
        // The whole text may hold an access key, so only these two are taken from it.
        failed.code = between(&whole, "<Code>", "</Code>").map(str::to_owned);
        failed.status = between(&whole, "status code: ", " ").and_then(|s| s.parse().ok());
        failed.not_found = matches!(error, Error::NotFound { .. });
        let by_kind = match error {
            Error::NotFound { .. } => Some(404),
            Error::Precondition { .. } | Error::AlreadyExists { .. } => Some(412),
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Some(403),
            _ => None,
        };
        failed.status = by_kind.or(failed.status);
        failed
    }

    pub(crate) fn is_missing_key(&self) -> bool {
        self.not_found && self.code.as_deref() != Some("NoSuchBucket")
    }

    pub(crate) fn text(&self) -> String {
        match (self.status, &self.code) {
            (Some(status), Some(code)) => format!("{status} {code}"),
            (Some(status), None) => format!("status {status}"),
            _ => self.kind.to_owned(),
        }
    }
}

fn between<'t>(text: &'t str, from: &str, to: &str) -> Option<&'t str> {
    let rest = &text[text.find(from)? + from.len()..];
    Some(rest.find(to).map_or(rest, |end| &rest[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_a_status_and_a_code_and_nothing_of_the_body() {
        let body = "status code: 403 Forbidden: <Code>InvalidAccessKeyId</Code><AWSAccessKeyId>AKIASECRET</AWSAccessKeyId>";
        let error = Error::Generic {
            store: "S3",
            source: body.into(),
        };
        let failed = Failed::of(&error);
        assert_eq!(failed.text(), "403 InvalidAccessKeyId");
        assert!(!format!("{failed:?}").contains("AKIA"));
    }
}
