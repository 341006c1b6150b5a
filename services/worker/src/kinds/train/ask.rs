//! The input of a `train` task, from its text straight into columns and a plan.
//!
//! Defaults: every other column of numbers as `features`, `algorithm` "linear", `method` "closed_form", `epochs` 1,000,
//! `tolerance` 1e-9, `testShare` 0.2, `seed` 42, `learningRate` 0.1 or, with more than ten features, 1 over their number.

use lepton_analysis::Table;
use lepton_analysis::train::{Descent, Method, Plan};
use lepton_domain::model::check_name;
use lepton_domain::reason::{Fault, Reason};
use lepton_proto::convert::value::read::Reader;

use crate::kinds::analyze::decode;
use crate::kinds::source::Source;

/// The most epochs that can be asked for.
const EPOCHS_MAX: f64 = 1e9;
/// The largest seed: up to here JSON's numbers are exact.
const SEED_MAX: f64 = 9_007_199_254_740_992.0;

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// What to train, and how.
    pub plan: Plan,
    /// The name to keep the model under.
    pub model: Option<String>,
    /// Whether to serve it at once.
    pub deploy: bool,
}

/// The fields as they come.
#[derive(Debug, Default)]
struct Fields {
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

/// Reads the whole input.
pub fn read(text: &[u8], cancelled: &dyn Fn() -> bool) -> Result<(Ask, Source), Fault> {
    let mut reader = Reader::new(text)?;
    if reader.peek()? != b'{' {
        let message = "the input is not an object with rows in `data` and the name of a column in `target`";
        return Err(Fault::new(Reason::InvalidJson, message));
    }
    reader.open(0)?;
    let mut fields = Fields::default();
    while reader.element(b'}')? {
        let key = reader.key()?;
        if reader.peek()? == b'n' {
            reader.word("null")?;
            continue;
        }
        fields.take(&key, &mut reader, cancelled)?;
    }
    reader.end()?;
    let source = Source::of(fields.rows.take(), fields.blob.take())?;
    Ok((fields.ask()?, source))
}

impl Fields {
    fn take(&mut self, key: &str, reader: &mut Reader<'_>, cancelled: &dyn Fn() -> bool) -> Result<(), Fault> {
        match key {
            "data" if self.rows.is_none() => self.rows = Some(decode::rows(reader, cancelled)?),
            "data" => return Err(Fault::field("data", "rows are given twice")),
            "blob" => self.blob = Some(decode::text_field(reader, "blob")?),
            "target" => self.target = Some(decode::text_field(reader, "target")?),
            "features" => self.features = Some(names(reader)?),
            "algorithm" => known(decode::text_field(reader, "algorithm")?, "algorithm", &["linear"]).map(drop)?,
            "method" => {
                let method = decode::text_field(reader, "method")?;
                self.method = Some(known(method, "method", &["closed_form", "gradient_descent"])?);
            }
            "learningRate" | "learning_rate" => {
                let value = number(reader, "learningRate")?;
                self.learning_rate = Some(within(value, "learningRate", value > 0.0, "a number above 0")?);
            }
            "epochs" => self.epochs = Some(whole(reader, "epochs", 1.0, EPOCHS_MAX)?),
            "tolerance" => {
                let value = number(reader, "tolerance")?;
                self.tolerance = Some(within(value, "tolerance", value >= 0.0, "0 or more")?);
            }
            "testShare" | "test_share" => {
                let value = number(reader, "testShare")?;
                let fits = (0.0..1.0).contains(&value);
                self.test_share = Some(within(value, "testShare", fits, "0 or more and less than 1")?);
            }
            "seed" => self.seed = Some(whole(reader, "seed", 0.0, SEED_MAX)?),
            "model" => self.model = Some(decode::text_field(reader, "model")?),
            "deploy" => self.deploy = truth(reader, "deploy")?,
            unknown => return Err(decode::unknown_field(unknown)),
        }
        Ok(())
    }

    fn ask(self) -> Result<Ask, Fault> {
        let missing = || Fault::field("target", "is missing: name the column that is to be predicted");
        if let Some(name) = &self.model {
            check_name(name).map_err(|fault| Fault::field("model", fault.message.replacen("name: ", "", 1)))?;
        } else if self.deploy {
            return Err(Fault::field(
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
        Ok(Ask {
            plan: Plan {
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

fn names(reader: &mut Reader<'_>) -> Result<Vec<String>, Fault> {
    if reader.peek()? != b'[' {
        return Err(Fault::field("features", "not a list of column names"));
    }
    reader.open(1)?;
    let mut names = Vec::new();
    while reader.element(b']')? {
        names.push(decode::text_field(reader, "features")?);
    }
    Ok(names)
}

fn known(given: String, field: &str, known: &[&str]) -> Result<String, Fault> {
    if known.contains(&&*given) {
        return Ok(given);
    }
    let shown: String = given.chars().take(64).collect();
    Err(Fault::field(field, format!("{shown:?} is not {}", known.join(" or "))))
}

fn number(reader: &mut Reader<'_>, field: &str) -> Result<f64, Fault> {
    match reader.peek()? {
        b'-' | b'0'..=b'9' => Ok(reader.number()?),
        _ => Err(Fault::field(field, "not a number")),
    }
}

fn within(value: f64, field: &str, fits: bool, takes: &str) -> Result<f64, Fault> {
    if fits {
        return Ok(value);
    }
    Err(Fault::field(field, format!("is {value}; it takes {takes}")))
}

/// A whole number within bounds.
pub(in crate::kinds) fn whole(reader: &mut Reader<'_>, field: &str, least: f64, most: f64) -> Result<f64, Fault> {
    let value = number(reader, field)?;
    let fits = value.fract() == 0.0 && (least..=most).contains(&value);
    within(value, field, fits, &format!("a whole number from {least} to {most}"))
}

fn truth(reader: &mut Reader<'_>, field: &str) -> Result<bool, Fault> {
    match reader.peek()? {
        b't' => Ok(reader.word("true").map(|()| true)?),
        b'f' => Ok(reader.word("false").map(|()| false)?),
        _ => Err(Fault::field(field, "not true or false")),
    }
}
