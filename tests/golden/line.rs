//! One line of a script: words, and options of the form `key=value`.
//!
//! Promises: a word that is missing or wrong ends the test with the line. Leaves meaning to the fixture.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

/// A command with its words.
pub struct Line<'a> {
    text: &'a str,
    words: Vec<&'a str>,
    options: BTreeMap<&'a str, &'a str>,
}

impl<'a> Line<'a> {
    pub fn parse(text: &'a str) -> Self {
        let (options, words) = text
            .split_whitespace()
            .partition::<Vec<_>, _>(|word| word.contains('='));
        let options = options.into_iter().filter_map(|word| word.split_once('=')).collect();
        Self { text, words, options }
    }

    pub fn word(&self, index: usize) -> &'a str {
        self.words
            .get(index)
            .copied()
            .unwrap_or_else(|| panic!("word {index} is missing in {:?}", self.text))
    }

    /// The words from this one on, or `otherwise` if there are none.
    pub fn rest(&self, from: usize, otherwise: &str) -> String {
        match self.words.get(from..) {
            Some(rest) if !rest.is_empty() => rest.join(" "),
            _ => otherwise.to_owned(),
        }
    }

    pub fn words(&self, from: usize) -> &[&'a str] {
        self.words.get(from..).unwrap_or_default()
    }

    pub fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    pub fn option(&self, key: &str) -> Option<&'a str> {
        self.options.get(key).copied()
    }

    pub fn number<T: FromStr<Err: Display>>(&self, index: usize) -> T {
        self.parsed(self.word(index))
    }

    pub fn parsed<T: FromStr<Err: Display>>(&self, word: &str) -> T {
        word.parse()
            .unwrap_or_else(|error| panic!("{word:?} in {:?}: {error}", self.text))
    }

    /// A list such as `gpu:yes,zone:b`.
    pub fn pairs(&self, key: &str) -> BTreeMap<String, String> {
        let pair = |word: &str| {
            let (key, value) = word.split_once(':').unwrap_or((word, ""));
            (key.to_owned(), value.to_owned())
        };
        self.option(key)
            .map(|list| list.split(',').map(pair).collect())
            .unwrap_or_default()
    }

    /// A duration such as `250ms`, `10s`, `5m` or `2h`.
    pub fn duration(&self, word: &str) -> Duration {
        let unit = word.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(word.len());
        let number = self.parsed::<u64>(&word[..unit]);
        match &word[unit..] {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_secs(number * 60),
            "h" => Duration::from_secs(number * 3_600),
            other => panic!("{other:?} is no unit of time in {:?}", self.text),
        }
    }
}
