//! The arguments of commands that list page by page.

use clap::Args;

use crate::client::escape;

/// One page of a listing; without arguments the whole of it.
#[derive(Debug, Args)]
pub struct Page {
    /// Most entries; absent: all.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: Option<u32>,
    /// The page to list: `nextPageToken` of the page before.
    #[arg(long)]
    pub page_token: Option<String>,
}

impl Page {
    /// Returns the address of the page.
    pub fn of(&self, path: &str) -> String {
        let size = self.limit.map(|limit| format!("pageSize={limit}"));
        let token = self
            .page_token
            .as_ref()
            .map(|token| format!("pageToken={}", escape(token)));
        let query: Vec<String> = size.into_iter().chain(token).collect();
        if query.is_empty() {
            return path.to_owned();
        }
        format!("{path}?{}", query.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_given_stands_in_the_address() {
        let page = |limit, token: &str| Page {
            limit,
            page_token: Some(token.to_owned()).filter(|token| !token.is_empty()),
        };
        assert_eq!(page(None, "").of("/a"), "/a");
        assert_eq!(page(Some(7), "x&y").of("/a"), "/a?pageSize=7&pageToken=x%26y");
    }
}
