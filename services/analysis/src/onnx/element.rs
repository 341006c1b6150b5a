//! The element types of ONNX's tensors, by the numbers of `TensorProto.DataType`.

macro_rules! elements {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $name:literal, $bits:literal, $stored:ident;)*) => {
        /// The type of a tensor's elements.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Element {
            $($(#[$doc])* $variant = $code,)*
        }

        impl Element {
            /// The element type with this number.
            pub fn of_code(code: i32) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Its name in ONNX.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Bits of one element in raw data; 0 for text, which has no raw form.
            pub(super) fn bits(self) -> u64 {
                match self {
                    $(Self::$variant => $bits,)*
                }
            }

            /// The typed field that holds them where there is no raw data.
            pub(super) fn stored(self) -> Stored {
                match self {
                    $(Self::$variant => Stored::$stored,)*
                }
            }
        }
    };
}

/// The typed fields of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    /// `float_data`.
    Floats,
    /// `int32_data`, also of everything smaller.
    Int32s,
    /// `string_data`.
    Strings,
    /// `int64_data`.
    Int64s,
    /// `double_data`.
    Doubles,
    /// `uint64_data`.
    Uint64s,
}

elements! {
    /// 32-bit floating point.
    Float = 1, "FLOAT", 32, Floats;
    /// 8-bit unsigned.
    Uint8 = 2, "UINT8", 8, Int32s;
    /// 8-bit signed.
    Int8 = 3, "INT8", 8, Int32s;
    /// 16-bit unsigned.
    Uint16 = 4, "UINT16", 16, Int32s;
    /// 16-bit signed.
    Int16 = 5, "INT16", 16, Int32s;
    /// 32-bit signed.
    Int32 = 6, "INT32", 32, Int32s;
    /// 64-bit signed.
    Int64 = 7, "INT64", 64, Int64s;
    /// Text.
    String = 8, "STRING", 0, Strings;
    /// True and false, a byte each.
    Bool = 9, "BOOL", 8, Int32s;
    /// 16-bit floating point.
    Float16 = 10, "FLOAT16", 16, Int32s;
    /// 64-bit floating point.
    Double = 11, "DOUBLE", 64, Doubles;
    /// 32-bit unsigned.
    Uint32 = 12, "UINT32", 32, Uint64s;
    /// 64-bit unsigned.
    Uint64 = 13, "UINT64", 64, Uint64s;
    /// Two 32-bit floats.
    Complex64 = 14, "COMPLEX64", 64, Floats;
    /// Two 64-bit floats.
    Complex128 = 15, "COMPLEX128", 128, Doubles;
    /// The upper half of a 32-bit float.
    Bfloat16 = 16, "BFLOAT16", 16, Int32s;
    /// 8-bit floating point.
    Float8E4m3fn = 17, "FLOAT8E4M3FN", 8, Int32s;
    /// 8-bit floating point.
    Float8E4m3fnuz = 18, "FLOAT8E4M3FNUZ", 8, Int32s;
    /// 8-bit floating point.
    Float8E5m2 = 19, "FLOAT8E5M2", 8, Int32s;
    /// 8-bit floating point.
    Float8E5m2fnuz = 20, "FLOAT8E5M2FNUZ", 8, Int32s;
    /// Two to a byte, unsigned.
    Uint4 = 21, "UINT4", 4, Int32s;
    /// Two to a byte, signed.
    Int4 = 22, "INT4", 4, Int32s;
    /// Two to a byte, floating point.
    Float4E2m1 = 23, "FLOAT4E2M1", 4, Int32s;
}

impl Element {
    /// Entries of the [`TypedField`] for this many elements.
    pub(super) fn entries(self, count: u64) -> u64 {
        match self {
            Self::Complex64 | Self::Complex128 => count.saturating_mul(2),
            Self::Uint4 | Self::Int4 | Self::Float4E2m1 => count.div_ceil(2),
            _ => count,
        }
    }

    /// Bytes of raw data for this many elements.
    pub(super) fn bytes(self, count: u64) -> u64 {
        count.saturating_mul(self.bits()).div_ceil(8)
    }
}
