//! Decoding of the input of a `train` task, from its text straight into columns and a plan.
//!
//! Defaults: every other column of numbers as `features`, `algorithm` "linear", `method` "closed_form", `epochs` 1,000,
//! `tolerance` 1e-9, `testShare` 0.2, `seed` 42, `learningRate` 0.1 or, with more than ten features, 1 over their number.

use lepton_analysis::Table;
use lepton_analysis::train::{Descent, Method, TrainOptions};
use lepton_domain::model::check_name;
use lepton_proto::convert::value::read::Reader;

use crate::error::{Error, InputError};
use crate::kinds::source::Source;
use crate::kinds::{fields, rows};

/// The most epochs that can be requested.
const EPOCHS_MAX: f64 = 1e9;
/// Largest seed: up to here JSON's numbers are exact.
const SEED_MAX: f64 = 9_007_199_254_740_992.0;

/// A request to [train](super::Train).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TrainRequest {
    /// Target, features and method.
    pub(super) plan: TrainOptions,
    /// Name under which to keep the model.
    pub(super) model: Option<String>,
    /// True to serve it at once.
    pub(super) deploy: bool,
}

/// The fields of a [`TrainRequest`] as they come.
#[derive(Debug, Default)]
struct TrainFields {
    rows: Option<Table>,
    blob: Option<String>,
    target: Option<String>,
    features: Option<Vec<String>>,
    method: Option<String>,
    learning_rate: Option<f64>,
    epochs: Option<f64>,
    tolerance: Option<f64>,
    test_share: Option<f64>,
    seed: Option<f64>,
    model: Option<String>,
    deploy: bool,
}

/// Decodes the whole input.
pub(super) fn decode(text: &[u8], cancelled: &dyn Fn() -> bool) -> Result<(TrainRequest, Source), Error> {
    let mut reader = Reader::new(text)?;
    if reader.peek()? != b'{' {
        let message = "the input is not an object with rows in `data` and the name of a column in `target`";
        return Err(InputError::NotJson(message.to_owned()).into());
    }
    reader.open(0)?;
    let mut fields = TrainFields::default();
    while reader.element(b'}')? {
        let key = reader.key()?;
        if reader.peek()? == b'n' {
            reader.word("null")?;
            continue;
        }
        fields.decode(&key, &mut reader, cancelled)?;
    }
    reader.end()?;
    let source = Source::new(fields.rows.take(), fields.blob.take())?;
    Ok((fields.request()?, source))
}

impl TrainFields {
    fn decode(&mut self, key: &str, reader: &mut Reader<'_>, cancelled: &dyn Fn() -> bool) -> Result<(), Error> {
        match key {
            "data" if self.rows.is_none() => self.rows = Some(rows::decode(reader, cancelled)?),
            "data" => return Err(fields::twice("data")),
            "blob" => self.blob = Some(fields::text(reader, "blob")?),
            "target" => self.target = Some(fields::text(reader, "target")?),
            "features" => self.features = Some(fields::names(reader, "features")?),
            "algorithm" => drop(fields::one_of(reader, "algorithm", &["linear"])?),
            "method" => {
                let method = fields::one_of(reader, "method", &["closed_form", "gradient_descent"])?;
                self.method = Some(method);
            }
            "learningRate" | "learning_rate" => {
                let rate = fields::number_within(reader, "learningRate", |it| it > 0.0, "a number above 0")?;
                self.learning_rate = Some(rate);
            }
            "epochs" => self.epochs = Some(fields::whole_number(reader, "epochs", 1.0, EPOCHS_MAX)?),
            "tolerance" => {
                self.tolerance = Some(fields::number_within(reader, "tolerance", |it| it >= 0.0, "0 or more")?);
            }
            "testShare" | "test_share" => {
                let fits = |it| (0.0..1.0).contains(&it);
                self.test_share = Some(fields::number_within(
                    reader,
                    "testShare",
                    fits,
                    "0 or more and less than 1",
                )?);
            }
            "seed" => self.seed = Some(fields::whole_number(reader, "seed", 0.0, SEED_MAX)?),
            "model" => self.model = Some(fields::text(reader, "model")?),
            "deploy" => self.deploy = fields::boolean(reader, "deploy")?,
            unknown => return Err(fields::unknown(unknown)),
        }
        Ok(())
    }

    fn request(self) -> Result<TrainRequest, InputError> {
        let missing = || InputError::field("target", "is missing: name the column that is to be predicted");
        if let Some(name) = &self.model {
            check_name(name).map_err(|error| InputError::field("model", error.message.replacen("name: ", "", 1)))?;
        } else if self.deploy {
            return Err(InputError::field(
                "deploy",
                "needs `model`, the name to deploy the model under",
            ));
        }
        let method = match self.method.as_deref() {
            Some("gradient_descent") => Method::GradientDescent(Descent {
                learning_rate: self.learning_rate,
                // Both are whole numbers in range by now.
                epochs: self.epochs.map_or(1_000, |epochs| epochs as u32),
                tolerance: self.tolerance.unwrap_or(1e-9),
            }),
            _ => Method::ClosedForm,
        };
        Ok(TrainRequest {
            plan: TrainOptions {
                target: self.target.ok_or_else(missing)?,
                features: self.features,
                method,
                test_share: self.test_share.unwrap_or(0.2),
                seed: self.seed.map_or(42, |seed| seed as u64),
            },
            model: self.model,
            deploy: self.deploy,
        })
    }
}
