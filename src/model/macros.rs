//! What several types have in common.

/// A UUID of one kind of XAPI's objects.
macro_rules! uuid_of_xapi {
    ($(#[$about:meta])* $type:ident, $expected:literal) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
        #[serde(try_from = "String")]
        pub struct $type(Uuid);

        impl $type {
            pub const EXPECTED: &'static str = $expected;
        }

        impl std::str::FromStr for $type {
            type Err = InvalidValue;

            /// Only the hyphenated form, because XAPI and `xe` use no other.
            fn from_str(text: &str) -> Result<Self, InvalidValue> {
                Uuid::from_str(text)
                    .ok()
                    .filter(|_| text.len() == uuid::fmt::Hyphenated::LENGTH)
                    .map(Self)
                    .ok_or_else(|| InvalidValue::new(text, Self::EXPECTED))
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.pad(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
            }
        }
    };
}

/// Serialises these types as text, and describes it.
macro_rules! text_in_serde {
    ($($type:ident: $schema:tt),*) => {$(
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($schema)
            }
        }
        impl TryFrom<String> for $type {
            type Error = crate::model::InvalidValue;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}
