//! Addresses as people write them: `http://HOST:PORT`, or without the scheme.

use http::Uri;
use lepton_domain::reason::{ApiError, Reason};
use lepton_domain::text::redacted_address;

/// `HOST:PORT` of an address; `what` names its server in the error.
pub fn authority(address: &str, what: &str, port_default: u16) -> Result<String, ApiError> {
    let wrong = |why: &str| {
        let shown = redacted_address(address);
        ApiError::new(Reason::ConfigInvalid, format!("{shown:?} is no URL of {what}: {why}"))
    };
    let text = if address.contains("://") {
        address.to_owned()
    } else {
        format!("http://{address}")
    };
    let uri: Uri = text.parse().map_err(|_error| wrong("write it as http://HOST:PORT"))?;
    if uri.scheme_str() != Some("http") {
        return Err(wrong("only http:// is spoken"));
    }
    if !matches!(uri.path_and_query().map(|rest| rest.as_str()), None | Some("/")) {
        return Err(wrong("nothing may follow the port"));
    }
    let authority = uri.authority().ok_or_else(|| wrong("it has no host"))?;
    if authority.as_str().contains('@') {
        return Err(wrong(
            "users and passwords are not supported; write it as http://HOST:PORT",
        ));
    }
    if authority.host().is_empty() {
        return Err(wrong("write it as http://HOST:PORT"));
    }
    // The parser takes any text for a port, and then tells of none.
    let port = match (authority.port_u16(), authority.as_str() == authority.host()) {
        (Some(port), _) => port,
        (None, true) => port_default,
        (None, false) => return Err(wrong("ports are numbers up to 65535")),
    };
    Ok(format!("{}:{port}", authority.host()))
}

/// etcd's addresses as `http://HOST:PORT` each; a list that is empty or has a wrong one is refused.
pub fn etcd_members(addresses: &[String]) -> Result<Vec<String>, ApiError> {
    const ETCD_PORT: u16 = 2379;
    if addresses.is_empty() {
        let message = "no etcd member is named: give --etcd URL,... or `etcd` in section [common]";
        return Err(ApiError::new(Reason::ConfigInvalid, message));
    }
    let member = |address: &String| authority(address, "an etcd member", ETCD_PORT);
    addresses
        .iter()
        .map(|address| Ok(format!("http://{}", member(address)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hosts_and_ports() {
        let read = |address| authority(address, "a gateway", 80).map_err(|error| error.reason);
        assert_eq!(read("http://127.0.0.1:8000"), Ok("127.0.0.1:8000".to_owned()));
        assert_eq!(read("localhost:8000/"), Ok("localhost:8000".to_owned()));
        assert_eq!(read("http://[::1]:8000"), Ok("[::1]:8000".to_owned()));
        assert_eq!(read("lepton.example"), Ok("lepton.example:80".to_owned()));
        for wrong in [
            "",
            "ftp://127.0.0.1:1",
            "https://host",
            "127.0.0.1:99999",
            "host:port",
            "host:",
            "ftp:/x",
            "a@b:1",
            "http://host/p",
        ] {
            assert_eq!(read(wrong), Err(Reason::ConfigInvalid), "{wrong:?}");
        }
    }

    #[test]
    fn no_credential_is_shown() {
        for address in [
            "http://root:s3cret@host:2379",
            "https://root:s3cret@host",
            "root:s3cret@host",
            "http://root:s3/cret@host",
            "http://root:s3cret",
            "http://host/?key=s3cret",
            "http://root:s3cret@",
            "://root:s3cret@host",
        ] {
            let error = authority(address, "an etcd member", 2379).expect_err(address);
            assert!(!error.to_string().contains("cret"), "{error}");
        }
    }

    #[test]
    fn etcd_needs_a_member_and_speaks_plaintext() {
        let members = |addresses: &[&str]| {
            let addresses: Vec<String> = addresses.iter().map(|&address| address.to_owned()).collect();
            etcd_members(&addresses).map_err(|error| error.reason)
        };
        let full = ["http://a:2379", "http://b:1", "http://c:2379"].map(str::to_owned);
        assert_eq!(members(&["http://a", "b:1", "http://c:2379/"]), Ok(full.to_vec()));
        assert_eq!(members(&[]), Err(Reason::ConfigInvalid));
        assert_eq!(
            members(&["http://a:2379", "https://b:2379"]),
            Err(Reason::ConfigInvalid)
        );
    }
}
