//! What a decoder found wrong.

use std::fmt;

/// Why bytes are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Fewer bytes than the structure has.
    Short,
    /// The magic bytes are missing.
    Magic,
    /// The header's checksum does not match.
    HeaderChecksum,
    /// A truly newer format: the checksum matches, the version or a feature bit is unknown.
    Newer {
        major: u16,
        incompat: u32,
        writer: String,
    },
    /// A value in a header that its checksum vouches for, but that no writer writes.
    HeaderValue(&'static str),
    /// A frame of another log.
    Salt,
    /// A frame kind or flag that must be understood and is not.
    UnknownFrame(u8),
    /// The frame runs past the end of the file.
    PastEnd,
    /// The checksum of the envelopes does not match.
    MetaChecksum,
    /// The envelopes' lengths do not add up.
    MetaShape,
    /// The checksum of a payload does not match.
    Payload,
    /// Bytes between the payloads and the trailer are not zero.
    Padding,
    /// The trailer does not repeat the header.
    Trailer,
    /// An envelope does not decode.
    Envelope(&'static str),
    /// The frame does not follow the one before it.
    Sequence(&'static str),
    /// The body of a SEAL or GAP frame does not decode.
    Marker,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Short => "shorter than its header",
            Self::Magic => "no frame where one should be",
            Self::HeaderChecksum => "header checksum",
            Self::Newer {
                major,
                incompat,
                writer,
            } => {
                return write!(f, "format {major} (features {incompat:#x}) by {writer}");
            }
            Self::HeaderValue(what) | Self::Envelope(what) | Self::Sequence(what) => what,
            Self::Salt => "a frame of another log",
            Self::UnknownFrame(kind) => return write!(f, "unknown frame kind {kind:#04x}"),
            Self::PastEnd => "the frame runs past the end of the file",
            Self::MetaChecksum => "envelope checksum",
            Self::MetaShape => "envelope lengths",
            Self::Payload => "payload checksum",
            Self::Padding => "padding is not zero",
            Self::Trailer => "trailer",
            Self::Marker => "seal or gap body",
        };
        f.write_str(text)
    }
}
