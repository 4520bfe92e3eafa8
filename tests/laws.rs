//! The documentation's page of laws is what the rules say of themselves: `docs/laws.md` is made
//! from their comments. To write it anew: `UPDATE_DOCS=1 cargo test --test laws`.

use rlppl::bound::Rule;
use std::fs;
use std::path::Path;

#[test]
fn the_page_of_laws_is_made_from_the_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut page = String::from(
        "# The laws of a derivation\n\n\
         Each step of `rlppl bound --steps` names one of these. `P` are the factors of prior and \
         auxiliary, `Λ` the likelihood's exponents,\n\
         `Q` the posterior's factors; `q` is the posterior itself. This page is made from the \
         comments of `src/bound/rules`.\n",
    );
    for rule in Rule::ALL {
        let source =
            fs::read_to_string(root.join("src/bound/rules").join(format!("{}.rs", rule.name())))
                .expect("every rule has a file of its name");
        let law: Vec<&str> = source
            .lines()
            .skip_while(|line| !line.starts_with("///"))
            .take_while(|line| line.starts_with("///"))
            .map(|line| line.trim_start_matches("///").trim_start())
            .collect();
        let (statement, explanation) = law.split_first().expect("every rule states its law");
        page.push_str(&format!(
            "\n## {}\n\n```\n{statement}\n```\n\n{}\n",
            rule.name(),
            explanation.join("\n").trim()
        ));
    }
    let path = root.join("docs/laws.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).expect("docs can be written");
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        known == page,
        "docs/laws.md is not what the rules say: UPDATE_DOCS=1 cargo test --test laws"
    );
}
