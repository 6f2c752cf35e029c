//! The layers of `docs/ARCHITECTURE.md`, held true: a module uses modules of lower layers, of its own layer where nothing
//! below says never, and there are no circles. Paths are read from the source: `crate::`, `super::`, `sote_acme::` and
//! grouped uses, in `use` lines and in code alike.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Modules by layer, the lowest first.
const LAYERS: [&[&str]; 8] = [
    &["names", "public_key", "time"],
    &["acme", "x509", "register", "pkcs11"],
    &["model"],
    &["store", "signer", "validation", "config"],
    &["issuer"],
    &["authority"],
    &["http", "worker"],
    &["commands", "main"],
];

/// What a module must not use although it lies in a lower or its own layer. `client` is apart: see [`allowed`].
const NEVER: [(&str, &[&str]); 8] = [
    ("pkcs11", &["acme", "register"]),
    ("register", &["acme", "x509"]),
    ("store", &["signer", "validation"]),
    ("signer", &["store", "validation", "config"]),
    ("validation", &["store", "signer"]),
    ("issuer", &["validation"]),
    ("authority", &["signer", "issuer", "validation"]),
    ("http", &["signer", "validation", "worker"]),
];

/// A path as the source names it, from the crate's root.
type ModulePath = Vec<String>;

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

/// Whether `user` may use `used`, and of `used` this part.
fn allowed(user: &str, used: &[String]) -> bool {
    let target = used[0].as_str();
    if user == target {
        return true;
    }
    match (user, target) {
        // The client ships alone: it knows what is on the wire and nothing of the server.
        ("client", _) => layer(target).is_some_and(|layer| layer < 2),
        ("sote-client", _) => target == "client",
        ("commands", "client") => true,
        (_, "client") => false,
        // Of the issuer, http may see what relying services ask, and nothing that can sign a certificate.
        ("http", "issuer") => used.get(1).is_some_and(|part| part == "status"),
        ("worker", "http") => false,
        _ => {
            let never = NEVER.iter().any(|(module, never)| *module == user && never.contains(&target));
            !never && matches!((layer(user), layer(target)), (Some(own), Some(other)) if other <= own)
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    PathSeparator,
    Open,
    Close,
    Comma,
    Other,
}

/// The source as tokens, without comments, strings and character literals.
fn tokens(source: &str) -> Vec<Token> {
    let bytes = source.as_bytes();
    let (mut tokens, mut i) = (Vec::new(), 0);
    while i < bytes.len() {
        let rest = &source[i..];
        i += match bytes[i] {
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ if raw_string(rest).is_some() => raw_string(rest).unwrap_or(1),
            b'"' => string(rest),
            b'\'' => character(rest),
            b'{' => push(&mut tokens, Token::Open),
            b'}' => push(&mut tokens, Token::Close),
            b',' => push(&mut tokens, Token::Comma),
            _ if rest.starts_with("::") => push(&mut tokens, Token::PathSeparator) + 1,
            b if b.is_ascii_alphabetic() || b == b'_' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                push(&mut tokens, Token::Word(rest[..end].to_owned()));
                end
            }
            b if b.is_ascii_whitespace() => 1,
            _ => push(&mut tokens, Token::Other) - 1 + rest.chars().next().map_or(1, char::len_utf8),
        };
    }
    tokens
}

fn push(tokens: &mut Vec<Token>, token: Token) -> usize {
    tokens.push(token);
    1
}

fn string(rest: &str) -> usize {
    let mut escaped = false;
    for (i, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return i + 1,
            _ => {}
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let body_start = rest.len() - body.len() + hashes + 1;
    if !body[hashes..].starts_with('"') {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    rest[body_start..].find(&end).map(|at| body_start + at + end.len())
}

/// A character literal, or only the quote of a lifetime.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => rest[2..].find('\'').map_or(1, |end| 2 + end + 1),
        Some((i, c)) if rest[i + c.len_utf8()..].starts_with('\'') => i + c.len_utf8() + 1,
        _ => 1,
    }
}

/// The paths of the crate that a source names. `own` is the path of the module that the source is.
fn paths(source: &str, own: &[String]) -> Vec<ModulePath> {
    let tokens = tokens(source);
    let mut found = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let Token::Word(word) = token else { continue };
        let begins = i == 0 || tokens[i - 1] != Token::PathSeparator;
        let names_path = tokens.get(i + 1) == Some(&Token::PathSeparator);
        if begins && names_path && matches!(word.as_str(), "crate" | "super" | "sote_acme") {
            path(&tokens, i, own, Vec::new(), &mut found);
        }
    }
    found
}

/// Reads one path, or every path of a group, from `i` on. Returns where it ends.
fn path(tokens: &[Token], mut i: usize, own: &[String], mut prefix: ModulePath, found: &mut Vec<ModulePath>) -> usize {
    loop {
        match tokens.get(i) {
            Some(Token::Word(word)) => {
                match word.as_str() {
                    "crate" | "sote_acme" => prefix.clear(),
                    "super" if prefix.is_empty() => prefix = own[..own.len().saturating_sub(1)].to_vec(),
                    "super" => {
                        prefix.pop();
                    }
                    "self" => {}
                    _ => prefix.push(word.clone()),
                }
                i += 1;
            }
            Some(Token::Open) => {
                i += 1;
                while i < tokens.len() && tokens[i] != Token::Close {
                    i = path(tokens, i, own, prefix.clone(), found);
                    while matches!(tokens.get(i), Some(Token::Word(_) | Token::Other)) {
                        i += 1; // `as name`, `*`
                    }
                    if tokens.get(i) == Some(&Token::Comma) {
                        i += 1;
                    }
                }
                return i + 1;
            }
            _ => break,
        }
        if tokens.get(i) != Some(&Token::PathSeparator) {
            break;
        }
        i += 1;
    }
    if !prefix.is_empty() {
        found.push(prefix);
    }
    i
}

/// The module that a file is, from the crate's root.
fn module_path(file: &Path) -> ModulePath {
    let mut path: ModulePath =
        file.with_extension("").components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if path.len() > 1 && path.last().is_some_and(|last| last == "mod") {
        path.pop();
    }
    if path.first().is_some_and(|first| first == "bin") {
        path.remove(0);
    }
    path
}

fn violations(file: &Path, source: &str) -> Vec<String> {
    let own = module_path(file);
    paths(source, &own)
        .into_iter()
        .filter(|used| layer(&used[0]).is_some() || used[0] == "client")
        .filter(|used| !allowed(&own[0], used))
        .map(|used| format!("{} uses {}", file.display(), used.join("::")))
        .collect()
}

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(directory: &Path, root: &Path, found: &mut Vec<(PathBuf, String)>) {
        let entries = fs::read_dir(directory).expect("src can be read");
        for path in entries.map(|entry| entry.expect("src can be read").path()) {
            if path.is_dir() {
                walk(&path, root, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path).expect("a source file is text");
                found.push((path.strip_prefix(root).expect("below src").to_owned(), source));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    assert!(found.len() > 50, "only {} source files were found", found.len());
    found
}

#[test]
fn no_module_uses_an_upper_layer_or_what_it_must_never_use() {
    let violations: Vec<_> = sources().iter().flat_map(|(file, source)| violations(file, source)).collect();
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn every_module_has_its_layer() {
    for (file, _) in sources() {
        let module = &module_path(&file)[0];
        let apart = ["lib", "client", "sote-client"].contains(&module.as_str());
        assert!(apart || layer(module).is_some(), "{} belongs to no layer", file.display());
    }
}

#[test]
fn modules_of_one_layer_do_not_use_each_other_in_a_circle() {
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, source) in sources() {
        let own = module_path(&file);
        for used in paths(&source, &own).into_iter().filter(|used| used[0] != own[0]) {
            uses.entry(own[0].clone()).or_default().insert(used[0].clone());
        }
    }
    for module in uses.keys() {
        let (mut reached, mut next) = (BTreeSet::new(), vec![module.clone()]);
        while let Some(current) = next.pop() {
            for used in uses.get(&current).into_iter().flatten() {
                assert_ne!(used, module, "{module} uses itself by way of {current}");
                if reached.insert(used.clone()) {
                    next.push(used.clone());
                }
            }
        }
    }
}

#[test]
fn planted_violations_are_caught() {
    let planted = [
        ("names/zone.rs", "use crate::model::Order;"),
        ("model/order.rs", "use crate::{names::OrderId, store::{Store, Change}};"),
        ("http/acme/orders.rs", "fn f() { let x = super::super::super::signer::KeyFile::open(path); }"),
        ("http/public.rs", "use sote_acme::issuer::{status::Status, Issuers};"),
        ("authority/orders.rs", "use crate::{\n    model::Order,\n    issuer as ca,\n};"),
    ];
    for (file, source) in planted {
        assert!(!violations(Path::new(file), source).is_empty(), "{file}: {source}");
    }
}

#[test]
fn what_is_allowed_is_not_reported() {
    let sound = [
        ("http/public.rs", "use crate::issuer::status::{Status, OcspAnswer}; // use crate::signer::Signer;"),
        ("authority/orders.rs", r#"use super::{Authority, facts::Facts}; const S: &str = "crate::signer::Signer";"#),
        ("issuer/mod.rs", "use crate::signer::SigningPool; fn f<'a>(x: &'a str) -> char { '\"' }"),
    ];
    for (file, source) in sound {
        assert_eq!(violations(Path::new(file), source), Vec::<String>::new(), "{file}");
    }
}
