//! The comments of the contract, found by the path of what they describe.

use std::collections::HashMap;

use prost_reflect::FileDescriptor;

/// Comments of every file asked for so far.
#[derive(Debug, Default)]
pub struct Comments {
    files: HashMap<String, HashMap<Vec<i32>, String>>,
}

/// One comment; empty where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment(String);

impl Comments {
    /// The comment on the element of `file` at `path`.
    pub fn of(&mut self, file: &FileDescriptor, path: &[i32]) -> Comment {
        let comments = self.files.entry(file.name().to_owned()).or_insert_with(|| read(file));
        Comment(comments.get(path).cloned().unwrap_or_default())
    }
}

fn read(file: &FileDescriptor) -> HashMap<Vec<i32>, String> {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let locations = info.into_iter().flat_map(|info| &info.location);
    let comments = locations.filter_map(|place| Some((place.path.clone(), tidy(place.leading_comments.as_deref()?))));
    comments.collect()
}

/// Lines joined to paragraphs.
fn tidy(comment: &str) -> String {
    let paragraphs = comment.split("\n\n").map(|paragraph| {
        let lines: Vec<&str> = paragraph
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        lines.join(" ")
    });
    paragraphs
        .filter(|paragraph| !paragraph.is_empty())
        .collect::<Vec<_>>()
        .join("\n\n")
}

impl Comment {
    /// All of it.
    pub fn whole(self) -> String {
        self.0
    }

    /// Its first paragraph and the rest.
    pub fn summary(self) -> (String, String) {
        match self.0.split_once("\n\n") {
            Some((first, rest)) => (first.to_owned(), rest.to_owned()),
            None => (self.0, String::new()),
        }
    }
}
