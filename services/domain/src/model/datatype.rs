//! Element types of tensors, by the names of the Open Inference Protocol.
//!
//! Leaves reading and writing elements to the model runtimes.

use std::fmt;
use std::str::FromStr;

use crate::text::excerpt;

/// Text that names no data type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no data type; known are BOOL, UINT8 to UINT64, INT8 to INT64, FP16, BF16, FP32, FP64 and BYTES")]
pub struct NotDataType(pub String);

macro_rules! datatypes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $bytes:expr;)*) => {
        /// Type of a tensor's elements, by the names of the [Open Inference
        /// Protocol](https://github.com/kserve/open-inference-protocol).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DataType {
            $($(#[$doc])* $variant,)*
        }

        impl DataType {
            /// All data types.
            pub const ALL: &[DataType] = &[$(DataType::$variant,)*];

            /// Name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(DataType::$variant => $name,)*
                }
            }

            /// Bytes of one element; `None` where elements differ in length.
            pub const fn size_bytes(self) -> Option<usize> {
                match self {
                    $(DataType::$variant => $bytes,)*
                }
            }
        }

        impl FromStr for DataType {
            type Err = NotDataType;

            fn from_str(text: &str) -> Result<Self, NotDataType> {
                match text {
                    $($name => Ok(DataType::$variant),)*
                    _ => Err(NotDataType(excerpt(text).into_owned())),
                }
            }
        }
    };
}

datatypes! {
    /// True or false, one byte.
    Bool = "BOOL", Some(1);
    /// Unsigned, 8 bits.
    Uint8 = "UINT8", Some(1);
    /// Unsigned, 16 bits.
    Uint16 = "UINT16", Some(2);
    /// Unsigned, 32 bits.
    Uint32 = "UINT32", Some(4);
    /// Unsigned, 64 bits.
    Uint64 = "UINT64", Some(8);
    /// Signed, 8 bits.
    Int8 = "INT8", Some(1);
    /// Signed, 16 bits.
    Int16 = "INT16", Some(2);
    /// Signed, 32 bits.
    Int32 = "INT32", Some(4);
    /// Signed, 64 bits.
    Int64 = "INT64", Some(8);
    /// Half precision.
    Fp16 = "FP16", Some(2);
    /// Half precision with the exponent of single precision.
    Bf16 = "BF16", Some(2);
    /// Single precision.
    Fp32 = "FP32", Some(4);
    /// Double precision.
    Fp64 = "FP64", Some(8);
    /// Texts or bytes of any length.
    Bytes = "BYTES", None;
}

impl fmt::Display for DataType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
