//! Buckets: how they are reached, and the standard layout in them.

use sessionlog::bucket::Bucket;
use sessionlog::layout::sessions_in;
use sessionlog::sync::S3Options;

use crate::exit::Failure;

/// Where the server of a bucket is.
#[derive(Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// The server, if it is not Amazon's [default: $`AWS_ENDPOINT_URL`].
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The region [default: $`AWS_REGION`].
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Allow http: everything can be read and changed on its way.
    #[arg(long)]
    allow_http: bool,
}

impl ServerArgs {
    pub(crate) fn options(&self) -> S3Options {
        S3Options {
            endpoint: self.endpoint.clone().or_else(|| from("AWS_ENDPOINT_URL")),
            region: self.region.clone().or_else(|| from("AWS_REGION")),
            allow_http: self.allow_http,
            keys: None,
        }
    }

    /// The bucket at a URL.
    pub(crate) fn open(&self, url: &str) -> Result<Bucket, Failure> {
        Bucket::open(url, &self.options()).map_err(|e| Failure::Input(e.to_string()))
    }

    /// The sessions at a URL: of a bucket and prefix with `session_*` below, or one `session_*` itself.
    pub(crate) fn sessions(&self, url: &str) -> Result<(Bucket, Vec<String>), Failure> {
        let (above, last) = url
            .trim_end_matches('/')
            .rsplit_once('/')
            .unwrap_or_default();
        if let Some(id) = last.strip_prefix("session_").filter(|_| above != "s3:/") {
            return Ok((self.open(above)?, vec![id.to_owned()]));
        }
        let bucket = self.open(url)?;
        let ids = sessions_in(&bucket)?;
        Ok((bucket, ids))
    }
}

/// A variable of the environment that is set.
pub(crate) fn from(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
