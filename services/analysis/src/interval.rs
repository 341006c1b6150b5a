//! Confidence intervals of a mean.
//!
//! Up to 29 values the quantile is Student's t with n - 1 degrees of freedom; from 30 on the central limit theorem lets
//! the normal quantile stand in for it.

use crate::moments::Moments;

/// From this many values on the normal quantile is used.
const NORMAL_COUNT_MIN: usize = 30;
/// The normal distribution's quantile at 0.975.
const NORMAL_975: f64 = 1.959963984540054;
/// Student's t quantile at 0.975 for 1, 2, ... 28 degrees of freedom.
const STUDENT_T_975: [f64; NORMAL_COUNT_MIN - 2] = [
    12.706204736174705,
    4.302652729749464,
    3.1824463052837095,
    2.7764451051977943,
    2.5705818356363155,
    2.44691185114497,
    2.3646242515927853,
    2.3060041352041667,
    2.2621571627982053,
    2.228138851986275,
    2.2009851600916397,
    2.178812829667229,
    2.1603686564627926,
    2.144786687917804,
    2.1314495455597755,
    2.1199052992212546,
    2.109815577833317,
    2.1009220402410387,
    2.0930240544083096,
    2.085963447265865,
    2.0796138447276804,
    2.0738730679040263,
    2.0686576104190486,
    2.063898561628026,
    2.0595385527532977,
    2.055529438642873,
    2.0518305164802855,
    2.048407141795245,
];

/// An interval that covers the true mean in 95 of 100 samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The quantile in use.
    pub method: IntervalMethod,
}

/// The quantile of an [`Interval`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntervalMethod {
    /// The normal distribution's: 30 values or more.
    Normal,
    /// Student's t: 2 to 29 values.
    StudentT,
}

/// The 95 % interval of the mean; `None` below two values or where a double cannot hold its ends.
pub(crate) fn ci95(moments: &Moments) -> Option<Interval> {
    let (quantile, method) = match moments.count {
        0 | 1 => return None,
        n if n < NORMAL_COUNT_MIN => (STUDENT_T_975[n - 2], IntervalMethod::StudentT),
        _ => (NORMAL_975, IntervalMethod::Normal),
    };
    let half = quantile * (moments.stddev()? / (moments.count as f64).sqrt());
    let (low, high) = (moments.mean() - half, moments.mean() + half);
    (low.is_finite() && high.is_finite()).then_some(Interval { low, high, method })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Student's cumulative distribution for a whole number of degrees of freedom, by its finite trigonometric sum
    /// (Abramowitz and Stegun, 26.7.3 and 26.7.4).
    fn student_cdf(t: f64, degrees: usize) -> f64 {
        let theta = (t / (degrees as f64).sqrt()).atan();
        let odd = degrees % 2 == 1;
        let (mut term, mut sum) = if odd { (theta.cos(), 0.0) } else { (1.0, 0.0) };
        let mut k = if odd { 1 } else { 0 };
        while k < degrees - 1 {
            sum += term;
            term *= theta.cos().powi(2) * (k + 1) as f64 / (k + 2) as f64;
            k += 2;
        }
        let central = if odd {
            std::f64::consts::FRAC_2_PI * (theta + theta.sin() * sum)
        } else {
            theta.sin() * sum
        };
        0.5 + central / 2.0
    }

    #[test]
    fn the_table_inverts_students_distribution() {
        for (index, &t) in STUDENT_T_975.iter().enumerate() {
            let found = student_cdf(t, index + 1);
            assert!((found - 0.975).abs() < 1e-15 * 8.0, "{} degrees: {found}", index + 1);
        }
    }

    fn moments(count: usize) -> Moments {
        let values: Vec<f64> = (0..count).map(|i| i as f64).collect();
        Moments::of(&values, crate::chunk::Rows::All, &|| false)
            .unwrap()
            .unwrap()
    }

    #[test]
    fn the_method_changes_at_thirty() {
        assert_eq!(ci95(&moments(1)), None);
        assert_eq!(ci95(&moments(2)).unwrap().method, IntervalMethod::StudentT);
        assert_eq!(ci95(&moments(29)).unwrap().method, IntervalMethod::StudentT);
        let thirty = ci95(&moments(30)).unwrap();
        assert_eq!(thirty.method, IntervalMethod::Normal);
        let half = NORMAL_975 * (77.5f64).sqrt() / 30f64.sqrt();
        assert!((thirty.low - (14.5 - half)).abs() < 1e-14 && (thirty.high - (14.5 + half)).abs() < 1e-13);
    }
}
