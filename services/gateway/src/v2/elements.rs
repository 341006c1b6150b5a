//! The `data` of a tensor: JSON text in, little-endian elements out, in one pass.
//!
//! Promises: integers are exact to the last digit of 64 bits; nothing wraps, rounds to infinity or is cut; nested lists
//! have the tensor's shape. Leaves what surrounds the data to `request`.

use bytes::Bytes;
use lepton_domain::model::DataType;
use lepton_domain::text::excerpt;
use lepton_proto::convert::value::JsonError;
use lepton_proto::convert::value::read::Reader;

use super::error::RequestError;

#[cfg(test)]
mod tests;

/// Room that is taken before the first element is there: a shape alone must not cost memory.
const ROOM_BYTES: usize = 64 * 1024;
/// The advice of the JSON reader about NaN, which is none for tensors.
const NULL_ADVICE: &str = "write null for a missing value";

/// Advice about elements that JSON does not have.
const BINARY: &str = "send it as binary data, with `binary_data_size`";

/// A tensor whose elements come.
#[derive(Debug)]
pub struct Expected<'a> {
    /// Its name.
    pub name: &'a str,
    /// Type of its elements.
    pub datatype: DataType,
    /// Its dimensions.
    pub shape: &'a [i64],
    /// The product of its dimensions.
    pub count: usize,
}

/// Reads a tensor's `data`, which lies within `depth` arrays and objects. Takes the bytes that it needs from `room`.
pub fn read(
    reader: &mut Reader<'_>,
    depth: usize,
    expected: &Expected<'_>,
    room: &mut usize,
) -> Result<Bytes, RequestError> {
    let bytes = expected
        .datatype
        .size_bytes()
        .map_or(0, |size| size.saturating_mul(expected.count));
    let mut elements = Elements {
        expected,
        depth,
        nested: false,
        read: 0,
        out: Vec::with_capacity(bytes.min(ROOM_BYTES)),
        room: *room,
    };
    if matches!(expected.datatype, DataType::Fp16 | DataType::Bf16) {
        return Err(elements.refused(&format!("{} cannot be told in JSON: {BINARY}", expected.datatype), None));
    }
    if reader.peek()? != b'[' {
        return Err(elements.at(reader, "the data must be a list"));
    }
    elements.list(reader, 0)?;
    if elements.read != expected.count {
        let (read, count) = (elements.read, expected.count);
        return Err(elements.at(reader, &format!("the data has {read} elements, its shape {count}")));
    }
    *room -= elements.out.len();
    Ok(elements.out.into())
}

/// Elements that have been read.
struct Elements<'a> {
    expected: &'a Expected<'a>,
    depth: usize,
    /// True where the lists lie within each other as the shape has it, false where all elements are in one.
    nested: bool,
    read: usize,
    out: Vec<u8>,
    /// The most bytes that the elements may take.
    room: usize,
}

impl Elements<'_> {
    /// The list of a dimension, or of all elements.
    fn list(&mut self, reader: &mut Reader<'_>, dimension: usize) -> Result<(), RequestError> {
        let shape = self.expected.shape;
        reader.open(self.depth + dimension)?;
        let mut length = 0_i64;
        while reader.element(b']')? {
            let is_list = reader.peek()? == b'[';
            // The first element decides; all others have to follow it.
            if dimension == 0 && length == 0 {
                self.nested = is_list;
            }
            let holds_lists = self.nested && dimension + 1 < shape.len();
            match (is_list, holds_lists) {
                (true, true) => self.list(reader, dimension + 1)?,
                (false, false) => self.element(reader)?,
                (true, false) if self.nested => {
                    return Err(self.at(reader, &format!("the data is nested deeper than its shape {shape:?}")));
                }
                _ => return Err(self.at(reader, "lists and single elements stand beside each other")),
            }
            length += 1;
        }
        let dimensions = shape.get(dimension).copied().unwrap_or_default();
        if self.nested && length != dimensions {
            let which = dimension + 1;
            let why =
                format!("dimension {which} of the data has {length} entries, its shape {shape:?} has {dimensions}");
            return Err(self.at(reader, &why));
        }
        Ok(())
    }

    fn element(&mut self, reader: &mut Reader<'_>) -> Result<(), RequestError> {
        if self.read == self.expected.count {
            let why = format!(
                "the data has more than the {} elements of its shape",
                self.expected.count
            );
            return Err(self.at(reader, &why));
        }
        // Errors point at the element's first byte.
        let start = reader.clone();
        match self.expected.datatype {
            DataType::Bool => self.boolean(reader)?,
            DataType::Bytes => self.text(reader)?,
            _ => {
                let literal = match reader.peek()? {
                    b'"' | b'{' | b't' | b'f' | b'n' => return Err(self.misfit(&start, None)),
                    _ => reader.literal().map_err(number)?,
                };
                if !put(self.expected.datatype, literal, &mut self.out) {
                    return Err(self.misfit(&start, Some(literal)));
                }
            }
        }
        // Looked at after each element, as a short text can stand for many bytes: `0,` for eight.
        if self.out.len() > self.room {
            let tensor = self.expected.name.to_owned();
            return Err(RequestError::TooLarge { tensor });
        }
        self.read += 1;
        Ok(())
    }

    fn boolean(&mut self, reader: &mut Reader<'_>) -> Result<(), RequestError> {
        let (word, value) = match reader.peek()? {
            b't' => ("true", 1),
            b'f' => ("false", 0),
            _ => return Err(self.misfit(reader, None)),
        };
        reader.word(word)?;
        self.out.push(value);
        Ok(())
    }

    fn text(&mut self, reader: &mut Reader<'_>) -> Result<(), RequestError> {
        if reader.peek()? != b'"' {
            return Err(self.misfit(reader, None));
        }
        let text = reader.text()?;
        let length = u32::try_from(text.len()).expect("bodies are bounded far below 4 GiB");
        self.out.extend_from_slice(&length.to_le_bytes());
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    /// The error of an element that its type does not take.
    fn misfit(&self, start: &Reader<'_>, literal: Option<&str>) -> RequestError {
        let datatype = self.expected.datatype;
        let takes = match datatype {
            DataType::Bool => "true and false".to_owned(),
            DataType::Bytes => "texts in double quotes".to_owned(),
            DataType::Fp32 | DataType::Fp64 => "numbers that are not beyond its largest".to_owned(),
            _ => range(datatype),
        };
        let shown = excerpt(literal.unwrap_or("this"));
        self.at(
            start,
            &format!("element {}: {datatype} takes {takes}, not {shown}", self.read),
        )
    }

    fn at(&self, reader: &Reader<'_>, why: &str) -> RequestError {
        let JsonError { line, column, .. } = reader.refuse(why);
        self.refused(&format!("{why} (line {line}, column {column})"), Some((line, column)))
    }

    fn refused(&self, why: &str, place: Option<(usize, usize)>) -> RequestError {
        let name = self.expected.name;
        RequestError::Data {
            tensor: name.to_owned(),
            problem: format!("input {name:?}: {why}"),
            place,
        }
    }
}

/// Appends a number. False where it is none of this type.
fn put(datatype: DataType, literal: &str, out: &mut Vec<u8>) -> bool {
    macro_rules! append {
        ($number:ty) => {
            match literal.parse::<$number>() {
                Ok(number) => {
                    out.extend_from_slice(&number.to_le_bytes());
                    true
                }
                Err(_) => false,
            }
        };
        ($number:ty, finite) => {
            match literal.parse::<$number>() {
                Ok(number) if number.is_finite() => {
                    out.extend_from_slice(&number.to_le_bytes());
                    true
                }
                _ => false,
            }
        };
    }
    match datatype {
        DataType::Uint8 => append!(u8),
        DataType::Uint16 => append!(u16),
        DataType::Uint32 => append!(u32),
        DataType::Uint64 => append!(u64),
        DataType::Int8 => append!(i8),
        DataType::Int16 => append!(i16),
        DataType::Int32 => append!(i32),
        DataType::Int64 => append!(i64),
        DataType::Fp32 => append!(f32, finite),
        DataType::Fp64 => append!(f64, finite),
        DataType::Bool | DataType::Bytes | DataType::Fp16 | DataType::Bf16 => false,
    }
}

/// The whole numbers of a type, in words.
fn range(datatype: DataType) -> String {
    let bits = datatype.size_bytes().unwrap_or_default() * 8;
    let (least, most) = match datatype {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
            (-(1_i128 << (bits - 1)), (1_i128 << (bits - 1)) - 1)
        }
        _ => (0, (1_i128 << bits) - 1),
    };
    format!("whole numbers from {least} to {most}, without point and exponent")
}

/// An error of something that is no number.
fn number(error: JsonError) -> JsonError {
    let message = error.message.replace(NULL_ADVICE, BINARY);
    JsonError { message, ..error }
}
