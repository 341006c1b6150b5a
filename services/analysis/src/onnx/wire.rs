//! Protobuf's wire format, field by field and without a copy (https://protobuf.dev/programming-guides/encoding).
//!
//! Promises: memory is the caller's affair alone: a file of millions of empty messages costs nothing here. Leaves which
//! fields there are to `read`.

/// The content of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Content<'a> {
    /// An integer of variable length.
    Varint(u64),
    /// Eight bytes.
    Fixed64,
    /// Four bytes.
    Fixed32,
    /// Bytes with a length before them: text, a message, or packed numbers.
    Bytes(&'a [u8]),
}

/// A field's number and its [`Content`].
pub(super) type Field<'a> = (u32, Content<'a>);

/// The bytes end inside a field, or are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

/// The fields of a message, in the order in which they stand.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn field(&mut self) -> Result<Field<'a>, Broken> {
        let key = varint(&mut self.rest)?;
        let number = u32::try_from(key >> 3).map_err(|_| Broken)?;
        if number == 0 {
            return Err(Broken);
        }
        let content = match key & 7 {
            0 => Content::Varint(varint(&mut self.rest)?),
            1 => self.take(8).map(|_| Content::Fixed64)?,
            2 => {
                let length = varint(&mut self.rest)?;
                Content::Bytes(self.take(usize::try_from(length).map_err(|_| Broken)?)?)
            }
            5 => self.take(4).map(|_| Content::Fixed32)?,
            // Groups, which no version of ONNX has.
            _ => return Err(Broken),
        };
        Ok((number, content))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Broken> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Broken)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Takes an integer of variable length from the front.
pub(super) fn varint(bytes: &mut &[u8]) -> Result<u64, Broken> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(Broken)?;
        *bytes = rest;
        // The tenth byte has room for one bit.
        if shift == 63 && byte > 1 {
            return Err(Broken);
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Broken)
}
