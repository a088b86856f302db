//! Payload bytes: the only place that knows how a user's value is encoded.
//!
//! `bincode` 2.0.1 (3.0.0 is an empty release). A parcel carries the codec's number, so that
//! another codec is a change of this file alone. Reading is bounded by the payload's own size.

use bincode::config::{self, Configuration, Limit};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::wire::MESSAGE_BYTES_MAX;

/// The number of the codec that this program writes and reads.
pub const CODEC: u8 = 1;

/// The number of JSON, for arguments that no Rust program wrote.
pub const JSON: u8 = 2;

/// What a value may take when it is read. The codec counts every number in full, of which a byte
/// may be written; so this is the most that a message which may be written can come to.
const READ_BYTES_MAX: usize = MESSAGE_BYTES_MAX * size_of::<u128>();

type Config = Configuration<config::LittleEndian, config::Varint, Limit<READ_BYTES_MAX>>;

fn configuration() -> Config {
    config::standard().with_limit::<READ_BYTES_MAX>()
}

/// A value that could not be encoded, or bytes that are not the value expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CodecError(String);

/// Encodes a value.
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CodecError> {
    let bytes = bincode::serde::encode_to_vec(value, configuration())
        .map_err(|error| CodecError(format!("the value cannot be encoded: {error}")))?;
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(CodecError(format!(
            "the value takes {} bytes; a message holds at most {MESSAGE_BYTES_MAX}",
            bytes.len()
        )));
    }
    Ok(bytes)
}

/// Encodes a value behind what is there, unless there would be more than so many bytes: then no
/// more is written.
pub(crate) fn append<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
    most: usize,
) -> Result<(), CodecError> {
    let written =
        bincode::serde::encode_into_std_write(value, &mut Limited { out, most }, configuration());
    written.map(drop).map_err(|error| CodecError(format!("the value cannot be encoded: {error}")))
}

struct Limited<'a> {
    out: &'a mut Vec<u8>,
    most: usize,
}

impl std::io::Write for Limited<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.out.len() + bytes.len() > self.most {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Writes a value as JSON, for a program of any language.
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String, CodecError> {
    let text = serde_json::to_string(value)
        .map_err(|error| CodecError(format!("the value cannot be written as JSON: {error}")))?;
    if text.len() > MESSAGE_BYTES_MAX {
        return Err(CodecError(format!(
            "the value takes {} bytes as JSON; a message holds at most {MESSAGE_BYTES_MAX}",
            text.len()
        )));
    }
    Ok(text)
}

/// Decodes a value, all of it.
pub fn decode<T: DeserializeOwned>(codec: u8, payload: &[u8]) -> Result<T, CodecError> {
    let wanted = std::any::type_name::<T>();
    if codec == JSON {
        let read = serde_json::from_slice(payload);
        return read.map_err(|error| CodecError(format!("this JSON is no {wanted}: {error}")));
    }
    if codec != CODEC {
        return Err(CodecError(format!("codec {codec} is not known, only {CODEC} and {JSON}")));
    }
    let (value, read) = bincode::serde::decode_from_slice(payload, configuration())
        .map_err(|error| CodecError(format!("these bytes are no {wanted}: {error}")))?;
    if read != payload.len() {
        return Err(CodecError(format!("{} bytes follow the {wanted}", payload.len() - read)));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_and_rubbish_is_named() {
        let bytes = encode(&("key", 7u32, vec![1u8, 2])).unwrap();
        let back: (String, u32, Vec<u8>) = decode(CODEC, &bytes).unwrap();
        assert_eq!(back, ("key".into(), 7, vec![1, 2]));
        let error = decode::<String>(CODEC, &bytes[..2]).unwrap_err();
        assert!(error.to_string().contains("String"), "{error}");
        assert!(decode::<u8>(CODEC, &[1, 2]).unwrap_err().to_string().contains("follow"));
        assert!(decode::<u8>(9, &[1]).unwrap_err().to_string().contains("codec 9"));
    }

    #[test]
    fn json_is_read_and_written() {
        let read: (String, u32) = decode(JSON, br#"["key", 7]"#).unwrap();
        assert_eq!(read, ("key".to_owned(), 7));
        assert_eq!(to_json(&read).unwrap(), r#"["key",7]"#);
        let error = decode::<(String, u32)>(JSON, br#"["key"]"#).unwrap_err().to_string();
        assert!(error.contains("(alloc::string::String, u32)"), "{error}");
        assert!(decode::<u8>(JSON, b"1 2").is_err(), "all of it");
        let nested = "[".repeat(100_000);
        assert!(decode::<Vec<u8>>(JSON, nested.as_bytes()).is_err());
        assert!(to_json(&std::collections::BTreeMap::from([(vec![1], 2)])).is_err());
    }

    /// Numbers that are short when written count no less when read.
    #[test]
    fn whatever_may_be_written_may_be_read() {
        let numbers = vec![0_u128; MESSAGE_BYTES_MAX / size_of::<u128>() + 1];
        let bytes = encode(&numbers).unwrap();
        assert!(bytes.len() < MESSAGE_BYTES_MAX / 10);
        assert!(decode::<Vec<u128>>(CODEC, &bytes).unwrap() == numbers);
        let largest = "x".repeat(MESSAGE_BYTES_MAX - 5);
        let bytes = encode(&largest).unwrap();
        assert_eq!(bytes.len(), MESSAGE_BYTES_MAX);
        assert!(decode::<String>(CODEC, &bytes).unwrap() == largest);
        assert!(encode(&(largest + "x")).is_err());
    }

    #[test]
    fn a_length_that_lies_is_refused_before_it_is_allocated() {
        let lie = [0xfd, 0, 0, 0, 0, 0, 1, 0, 0];
        assert!(decode::<Vec<u64>>(CODEC, &lie).is_err());
        assert!(decode::<String>(CODEC, &lie).is_err());
    }
}
