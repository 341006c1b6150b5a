//! One input of an inference request, from its JSON object to its bytes.
//!
//! Promises: fields may come in any order; a content that does not fit type and shape is refused before any worker sees
//! it. Leaves single elements to `elements`.

use bytes::Bytes;
use lepton_domain::model::{DIMENSIONS_MAX, DataType};
use lepton_domain::text::excerpt;
use lepton_proto::convert::value::read::Reader;
use lepton_proto::inference::model_infer_request::InferInputTensor;

use super::elements::{self, Expected};
use super::error::RequestError;
use super::request::parameter::{self, Parameters};
use super::request::{list, object, unknown};

/// Depth of a tensor's fields in the body.
const DEPTH: usize = 3;

/// Elements of a tensor.
#[derive(Debug)]
pub enum Content<'a> {
    /// Absent.
    Absent,
    /// In the JSON, seen before type and shape were known.
    Later(Reader<'a>),
    /// Read from the JSON.
    Read(Bytes),
    /// Behind the JSON, this many bytes.
    Binary(usize),
}

/// A tensor that is being read.
#[derive(Debug)]
pub struct Draft<'a> {
    /// Its place in the list, for messages.
    index: usize,
    name: String,
    datatype: Option<DataType>,
    shape: Option<Vec<i64>>,
    parameters: Parameters,
    /// Its elements.
    pub content: Content<'a>,
}

impl<'a> Draft<'a> {
    /// Reads the object of a tensor. Elements take their bytes from `room`.
    pub fn read(reader: &mut Reader<'a>, index: usize, room: &mut usize) -> Result<Self, RequestError> {
        let mut draft = Self {
            index,
            name: String::new(),
            datatype: None,
            shape: None,
            parameters: Parameters::new(),
            content: Content::Absent,
        };
        let what = draft.what();
        object(reader, 2, &what, |reader, key| {
            match key {
                "name" => draft.name = reader.text()?.into_owned(),
                "datatype" => draft.datatype = Some(datatype(reader, &draft.name)?),
                "shape" => draft.shape = Some(shape(reader, &what, &draft.name)?),
                "parameters" => draft.parameters = parameter::read(reader, DEPTH, &what)?,
                "data" => draft.data(reader, room)?,
                _ => return Err(unknown(&what, key, "name, datatype, shape, parameters and data")),
            }
            Ok(())
        })?;
        if draft.name.is_empty() {
            return Err(RequestError::field(format!("{what}.name"), "is missing"));
        }
        let content = std::mem::replace(&mut draft.content, Content::Absent);
        draft.content = match content {
            Content::Later(mut later) => Content::Read(draft.elements(&mut later, room)?),
            other => other,
        };
        draft.placed()?;
        Ok(draft)
    }

    /// The tensor and its content; binary content is taken from the front of `rest`.
    pub fn finish(self, rest: &mut Bytes) -> Result<(InferInputTensor, Bytes), RequestError> {
        let (datatype, count) = self.expected()?;
        let content = match self.content {
            Content::Read(content) => content,
            Content::Binary(length) if length > rest.len() => {
                let why = format!("binary_data_size is {length}, and only {} bytes are left", rest.len());
                return Err(refused(&self.name, &why));
            }
            Content::Binary(length) => {
                check_length(&self.name, datatype, self.shape.as_deref().unwrap_or_default(), length)?;
                rest.split_to(length)
            }
            // Some clients leave out what has no elements.
            Content::Absent | Content::Later(_) if count == 0 => Bytes::new(),
            Content::Absent | Content::Later(_) => {
                return Err(refused(&self.name, "neither `data` nor `binary_data_size` is given"));
            }
        };
        let tensor = InferInputTensor {
            name: self.name,
            datatype: datatype.as_str().to_owned(),
            shape: self.shape.unwrap_or_default(),
            parameters: self.parameters,
            contents: None,
        };
        Ok((tensor, content))
    }

    fn data(&mut self, reader: &mut Reader<'a>, room: &mut usize) -> Result<(), RequestError> {
        // Named first, so that its errors can name it.
        let ready = !self.name.is_empty() && self.datatype.is_some() && self.shape.is_some();
        if ready {
            self.content = Content::Read(self.elements(reader, room)?);
        } else {
            self.content = Content::Later(reader.clone());
            reader.skip(DEPTH)?;
        }
        Ok(())
    }

    fn elements(&self, reader: &mut Reader<'_>, room: &mut usize) -> Result<Bytes, RequestError> {
        let (datatype, count) = self.expected()?;
        let expected = Expected {
            name: &self.name,
            datatype,
            shape: self.shape.as_deref().unwrap_or_default(),
            count,
        };
        elements::read(reader, DEPTH, &expected, room)
    }

    /// Type and number of its elements.
    fn expected(&self) -> Result<(DataType, usize), RequestError> {
        let missing = |field: &str| RequestError::field(format!("{}.{field}", self.what()), "is missing");
        let datatype = self.datatype.ok_or_else(|| missing("datatype"))?;
        let shape = self.shape.as_ref().ok_or_else(|| missing("shape"))?;
        let count = shape.iter().try_fold(1_usize, |count, dimension| {
            count.checked_mul(usize::try_from(*dimension).ok()?)
        });
        // An overflow here would be a small buffer for a large shape further on.
        let count = count.ok_or_else(|| {
            let why = format!(
                "input {:?}: the shape {shape:?} has more elements than can be counted",
                self.name
            );
            RequestError::Shape {
                tensor: self.name.clone(),
                problem: why,
            }
        })?;
        Ok((datatype, count))
    }

    /// Notes whether its content lies behind the JSON.
    fn placed(&mut self) -> Result<(), RequestError> {
        parameter::refuse_unbuilt(&self.parameters, &self.name)?;
        match (
            parameter::bytes(&mut self.parameters, "binary_data_size")?,
            &self.content,
        ) {
            (None, _) => {}
            (Some(length), Content::Absent) => self.content = Content::Binary(length),
            (Some(_), _) => {
                return Err(refused(
                    &self.name,
                    "the content is given twice: `data` and `binary_data_size`",
                ));
            }
        }
        Ok(())
    }

    fn what(&self) -> String {
        format!("inputs[{}]", self.index)
    }
}

/// Refuses a binary content whose length its type and shape do not have. Lengths of texts are theirs alone.
pub fn check_length(name: &str, datatype: DataType, shape: &[i64], length: usize) -> Result<(), RequestError> {
    let Some(size) = datatype.size_bytes() else {
        return Ok(());
    };
    let bytes = shape.iter().try_fold(size, |bytes, dimension| {
        bytes.checked_mul(usize::try_from(*dimension).ok()?)
    });
    match bytes {
        Some(bytes) if bytes == length => Ok(()),
        bytes => {
            let takes = bytes.map_or("more bytes than can be counted".to_owned(), |bytes| {
                format!("{bytes} bytes")
            });
            let why = format!("{datatype} {shape:?} takes {takes}; {length} came");
            Err(refused(name, &why))
        }
    }
}

fn datatype(reader: &mut Reader<'_>, name: &str) -> Result<DataType, RequestError> {
    let text = reader.text()?;
    let tensor = name.to_owned();
    text.parse().map_err(|problem| RequestError::Type { tensor, problem })
}

fn shape(reader: &mut Reader<'_>, what: &str, name: &str) -> Result<Vec<i64>, RequestError> {
    let mut shape = Vec::new();
    list(reader, DEPTH, &format!("{what}.shape"), DIMENSIONS_MAX, |reader, _| {
        let start = reader.clone();
        let literal = match reader.peek()? {
            b'0'..=b'9' | b'-' => reader.literal()?,
            _ => "this",
        };
        let dimension = literal.parse::<i64>().ok().filter(|dimension| *dimension >= 0);
        let dimension = dimension.ok_or_else(|| {
            let shown = excerpt(literal);
            let why = format!("input {name:?}: a dimension is a whole number, 0 or more, not {shown}");
            RequestError::Shape {
                tensor: name.to_owned(),
                problem: start.refuse(&why).to_string(),
            }
        })?;
        shape.push(dimension);
        Ok(())
    })?;
    Ok(shape)
}

fn refused(name: &str, why: &str) -> RequestError {
    RequestError::data(name, format!("input {name:?}: {why}"))
}
