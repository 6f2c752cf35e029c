//! Strict JSON: what a signature covers must have one meaning. A member named twice at any depth, text after the value, a
//! byte order mark and deep nesting are refused; members that nobody knows are ignored, since stock clients send some.

use std::fmt;

use serde::de::{self, DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Levels of objects and arrays, the outermost included.
pub const DEPTH_LIMIT: usize = 16;

/// Longest message that an answer carries: it may quote what the client sent.
const MESSAGE_LIMIT: usize = 200;

/// Why a text is not the JSON that was expected. The message is written for whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);

impl JsonError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        JsonError(text.into())
    }

    fn from_serde(error: &serde_json::Error) -> Self {
        JsonError(error.to_string().chars().filter(|c| !c.is_control()).take(MESSAGE_LIMIT).collect())
    }
}

/// A message of type `T` from a JSON object. Unknown members are ignored.
pub fn object<T: DeserializeOwned>(text: &[u8]) -> Result<T, JsonError> {
    typed(members(text)?)
}

/// The members of a JSON object, each named once at every depth.
pub fn members(text: &[u8]) -> Result<Map<String, Value>, JsonError> {
    // RFC 8555 §5: UTF-8 everywhere.
    let text = std::str::from_utf8(text).map_err(|_| JsonError::new("not UTF-8"))?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: 0 }.deserialize(&mut deserializer).map_err(|error| JsonError::from_serde(&error))?;
    deserializer.end().map_err(|error| JsonError::from_serde(&error))?;
    match value {
        Value::Object(members) => Ok(members),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(JsonError::new("not a JSON object"))
        }
    }
}

/// A message of type `T` from members that were read strictly.
pub fn typed<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, JsonError> {
    serde_json::from_value(Value::Object(members)).map_err(|error| JsonError::from_serde(&error))
}

/// Reads any value and remembers how deep it stands.
#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == DEPTH_LIMIT {
            return Err(E::custom(format_args!("nested more than {DEPTH_LIMIT} levels deep")));
        }
        Ok(Strict { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(inner)?;
            // RFC 7515 §4 and §10.12: names must be unique; reading the last one would let two readers differ.
            if members.contains_key(&name) {
                return Err(de::Error::custom(format_args!("the member {:?} appears twice", shortened(&name))));
            }
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

fn shortened(name: &str) -> String {
    name.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        members(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_member_named_twice_is_refused_at_every_depth_and_however_it_is_spelt() {
        assert!(refusal(r#"{"a":1,"a":1}"#).contains("appears twice"));
        assert!(refusal(r#"{"a":[{"k":1,"\u006b":2}]}"#).contains("appears twice"));
        assert!(members(br#"{"a":{"k":1},"b":{"k":2}}"#).is_ok());
    }

    #[test]
    fn only_an_object_is_accepted() {
        for text in ["[]", "null", "\"x\"", "1", "", " ", "{", "{} {}", "{}x", "\u{feff}{}"] {
            assert!(members(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(members(b"{\"a\":\"\xff\"}").is_err(), "not UTF-8");
        assert!(members(br#"{"a":"\ud800"}"#).is_err(), "half a surrogate pair");
        assert!(members(br#"{"a":1e999}"#).is_err(), "beyond every number");
    }

    #[test]
    fn sixteen_levels_are_read_and_a_seventeenth_is_not() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert!(members(nested(DEPTH_LIMIT).as_bytes()).is_ok());
        assert!(refusal(&nested(DEPTH_LIMIT + 1)).contains("16 levels"));
        assert!(refusal(&nested(100_000)).contains("16 levels"));
    }

    #[test]
    fn unknown_members_are_ignored_and_messages_stay_short() {
        #[derive(Debug, serde::Deserialize)]
        struct Message {
            known: String,
        }
        assert_eq!(object::<Message>(br#"{"odd":{"x":null},"known":"k"}"#).unwrap().known, "k");
        let long = format!("{{\"known\":{{\"{}\":1}}}}", "x".repeat(5000));
        assert!(object::<Message>(long.as_bytes()).unwrap_err().to_string().len() <= MESSAGE_LIMIT);
        assert!(refusal(&format!("{{\"{0}\":1,\"{0}\":1}}", "x".repeat(5000))).len() < 100);
    }
}
