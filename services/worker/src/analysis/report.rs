//! Conversion of a report of the numerics into the message for clients.
//!
//! Here and not in `lepton-proto`, which knows nothing of `lepton-analysis`.
//! Promises: figures that are not defined are absent. Leaves printing to the gateway.

use lepton_analysis::linear::{Cleaned, CleaningAction, Fit};
use lepton_analysis::{
    ColumnFigures, ColumnReport, ColumnType, Correlation, Interval, IntervalMethod, NumberFigures, Quantiles, Report,
    TextFigures, ValueCount,
};
use lepton_proto::analysis::v1 as wire;
use prost_types::value::Kind;

/// Converts a report; `trace_id` is that of the call.
pub(crate) fn response(report: Report, predictions: Vec<Option<f64>>, trace_id: String) -> wire::AnalyzeResponse {
    wire::AnalyzeResponse {
        row_count: count(report.row_count),
        columns: report.columns.into_iter().map(summary).collect(),
        correlations: report.correlations.into_iter().map(correlation).collect(),
        fit: report.fit.map(fit),
        cleaned: report.cleaned.into_iter().map(cleaned).collect(),
        predictions: predictions.into_iter().map(prediction).collect(),
        trace_id,
    }
}

fn prediction(number: Option<f64>) -> prost_types::Value {
    let kind = match number {
        Some(number) => Kind::NumberValue(number),
        None => Kind::NullValue(0),
    };
    prost_types::Value { kind: Some(kind) }
}

/// Converts a count. Bodies are far too small for counts beyond 32 bits.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn summary(column: ColumnReport) -> wire::ColumnSummary {
    let kind = match column.kind {
        ColumnType::Number => wire::ColumnType::Number,
        ColumnType::Boolean => wire::ColumnType::Boolean,
        ColumnType::Text => wire::ColumnType::Text,
        ColumnType::Empty => wire::ColumnType::Empty,
    };
    let summary = wire::ColumnSummary {
        name: column.name,
        r#type: kind.into(),
        count: count(column.count),
        missing: count(column.missing),
        ..Default::default()
    };
    match column.figures {
        ColumnFigures::Number(figures) => with_numbers(summary, &figures),
        ColumnFigures::Text(figures) => with_texts(summary, figures),
        ColumnFigures::Empty => summary,
    }
}

fn with_numbers(summary: wire::ColumnSummary, figures: &NumberFigures) -> wire::ColumnSummary {
    wire::ColumnSummary {
        mean: Some(figures.mean),
        stddev: figures.stddev,
        ci95: figures.ci95.map(interval),
        min: Some(figures.min),
        max: Some(figures.max),
        quantiles: Some(quantiles(&figures.quantiles)),
        outliers: Some(count(figures.outliers)),
        ..summary
    }
}

fn with_texts(summary: wire::ColumnSummary, figures: TextFigures) -> wire::ColumnSummary {
    let counted = |it: ValueCount| wire::ValueCount {
        value: it.value,
        count: count(it.count),
    };
    wire::ColumnSummary {
        distinct: Some(count(figures.distinct)),
        top: figures.top.into_iter().map(counted).collect(),
        ..summary
    }
}

fn interval(interval: Interval) -> wire::ConfidenceInterval {
    let method = match interval.method {
        IntervalMethod::Normal => wire::CiMethod::Normal,
        IntervalMethod::StudentT => wire::CiMethod::StudentT,
    };
    wire::ConfidenceInterval {
        low: interval.low,
        high: interval.high,
        method: method.into(),
    }
}

fn quantiles(quantiles: &Quantiles) -> wire::Quantiles {
    let Quantiles {
        p05,
        p25,
        p50,
        p75,
        p95,
    } = *quantiles;
    wire::Quantiles {
        p05,
        p25,
        p50,
        p75,
        p95,
    }
}

fn correlation(correlation: Correlation) -> wire::Correlation {
    let Correlation { a, b, r, count: rows } = correlation;
    wire::Correlation {
        a,
        b,
        r,
        count: count(rows),
    }
}

fn fit(fit: Fit) -> wire::Fit {
    wire::Fit {
        target: fit.target,
        intercept: fit.intercept,
        coefficients: fit.coefficients.into_iter().collect(),
        r2: fit.r2,
        row_count: count(fit.row_count),
    }
}

/// Converts the account of rows and columns that were left out.
pub(crate) fn cleaned(cleaned: Cleaned) -> wire::Cleaning {
    let action = match cleaned.action {
        CleaningAction::RowIncomplete => wire::CleaningAction::RowIncomplete,
        CleaningAction::ColumnEmpty => wire::CleaningAction::ColumnEmpty,
        CleaningAction::ColumnText => wire::CleaningAction::ColumnText,
        CleaningAction::ColumnConstant => wire::CleaningAction::ColumnConstant,
        CleaningAction::ColumnCollinear => wire::CleaningAction::ColumnCollinear,
    };
    wire::Cleaning {
        column: cleaned.column,
        action: action.into(),
        count: count(cleaned.count),
    }
}
