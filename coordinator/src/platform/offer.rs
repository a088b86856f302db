//! What a function is invoked with: an offer to work for a coordinator. A small JSON object; all
//! else goes over the WebSocket.
//!
//! It does not say where the coordinator is. That stands in the function's configuration, so that
//! who may invoke the function cannot make it work for a coordinator of his own.

use std::fmt;

use channels::wire::Secret;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Launch;

/// An invocation's payload.
///
/// ```
/// use channels::wire::Secret;
/// use coordinator::platform::Offer;
///
/// let offer = Offer { launch: 7, token: Secret([1; 32]) };
/// let json = offer.to_json();
/// assert!(json.starts_with(r#"{"launch":7,"token":"0101"#));
/// assert_eq!(serde_json::from_str::<Offer>(&json).unwrap(), offer);
/// assert_eq!(format!("{offer:?}"), "Offer(launch 7)", "the token is not printed");
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// The launch's number.
    pub launch: u64,
    /// Good for one hello.
    #[serde(serialize_with = "write_hex", deserialize_with = "read_hex")]
    pub token: Secret,
}

impl Offer {
    /// As the function gets it.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a number and digits are JSON")
    }
}

impl From<&Launch> for Offer {
    fn from(launch: &Launch) -> Self {
        Self { launch: launch.number, token: launch.secret.clone() }
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Offer(launch {})", self.launch)
    }
}

fn write_hex<S: Serializer>(token: &Secret, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&token.to_hex())
}

fn read_hex<'de, D: Deserializer<'de>>(from: D) -> Result<Secret, D::Error> {
    let text = String::deserialize(from)?;
    Secret::from_hex(&text).ok_or_else(|| D::Error::custom("a token has 64 hexadecimal digits"))
}
