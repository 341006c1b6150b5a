//! Templates against request paths.

use proptest::prelude::*;

use super::*;

fn template(text: &str) -> Template {
    Template::parse(text).expect("supported")
}

#[test]
fn fields_bind_one_decoded_segment() {
    let found = template("/api/v1/models/{name}/versions/{version}");
    assert_eq!(
        found.matches("/api/v1/models/a%2Fb/versions/3"),
        Some(vec![("name", "a/b".to_owned()), ("version", "3".to_owned())])
    );
    assert_eq!(found.matches("/api/v1/models/a/versions/"), None);
    assert_eq!(found.matches("/api/v1/models/a/versions/3/more"), None);
}

#[test]
fn verbs_are_not_part_of_a_field() {
    let plain = template("/api/v1/tasks/{id}");
    let cancel = template("/api/v1/tasks/{id}:cancel");
    let batch = template("/api/v1/tasks:batchSubmit");
    assert!(plain.matches("/api/v1/tasks/7").is_some());
    assert!(plain.matches("/api/v1/tasks/7:cancel").is_none());
    assert_eq!(
        cancel.matches("/api/v1/tasks/7:cancel"),
        Some(vec![("id", "7".to_owned())])
    );
    assert!(cancel.matches("/api/v1/tasks/7:watch").is_none());
    assert!(batch.matches("/api/v1/tasks:batchSubmit").is_some());
    assert!(batch.matches("/api/v1/tasks").is_none());
    // An escaped colon belongs to the value.
    assert_eq!(
        plain.matches("/api/v1/tasks/a%3Ab"),
        Some(vec![("id", "a:b".to_owned())])
    );
}

#[test]
fn unsupported_templates_are_refused() {
    for text in ["api", "/a/*", "/a/{name=b/*}", "/a//b", "/a/x{name}"] {
        assert!(Template::parse(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn any_path_is_taken_without_panic(path in ".{0,64}") {
        let _ = template("/a/{b}:c").matches(&path);
        let _ = Template::parse(&path);
    }

    #[test]
    fn templates_print_as_they_were_written(name in "[a-z]{1,8}", verb in "[a-z]{1,8}") {
        let text = format!("/{name}/{{id}}:{verb}");
        prop_assert_eq!(template(&text).to_string(), text);
    }
}
