//! `/livez`, `/openapi.json`, `/problems`, `/metrics`.

use std::collections::HashSet;

use trousseau_web::problem::Kind;

use trousseau_store::testing::TestDatabase;
use trousseau_testkit::app::TestApp;
use trousseau_testkit::client::Client;

async fn bare() -> Client {
    TestApp::on(TestDatabase::sqlite().await).await.anonymous()
}

#[tokio::test]
async fn the_process_says_that_it_is_alive() {
    let answer = bare().await.get("/livez").await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "ok"));
}

#[tokio::test]
async fn every_problem_has_its_page() {
    for kind in Kind::ALL {
        let answer = bare().await.get(&kind.type_reference()).await;
        assert_eq!(answer.status.as_u16(), 200, "{kind:?}");
        assert!(answer.text().contains(kind.code()), "{kind:?}");
    }
}

#[tokio::test]
async fn a_problem_that_there_is_not_is_a_problem_itself() {
    for path in ["/problems/nope", "/problems/%ff"] {
        let answer = bare().await.get(path).await;
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
        assert_eq!(answer.expect(404)["code"], "not_found", "{path}");
    }
}

#[tokio::test]
async fn a_body_that_may_be_left_out_is_optional_and_not_null() {
    let document = bare().await.get("/openapi.json").await.expect(200);
    let mut optional = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let Some(body) = operation.get("requestBody") else { continue };
            for content in body["content"].as_object().expect("media types").values() {
                assert!(content["schema"]["$ref"].is_string(), "{method} {path}: {content}");
            }
            if body["required"] != true {
                optional.push(path.as_str());
            }
        }
    }
    let rotations = ["/v1/businesses/{business_id}/keys/{id}/rotate", "/v1/keys/{id}/rotate"];
    let others = ["/v1/merchants/{merchantId}/keys", "/v1/webhook_endpoints/{id}/rotate_secret"];
    assert_eq!(optional, [&["/apiKeys"][..], &rotations, &others].concat());
}

#[tokio::test]
async fn every_operation_of_the_document_is_complete() {
    let document = bare().await.get("/openapi.json").await.expect(200);
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = HashSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let id = operation["operationId"].as_str().unwrap_or_default().to_owned();
            assert!(!id.is_empty() && ids.insert(id), "{method} {path} needs an id of its own");
            assert!(operation["summary"].is_string(), "{method} {path} needs a summary");
            let responses = operation["responses"].as_object().expect("responses");
            assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path}");
            for variable in path.split('/').filter_map(|part| part.strip_prefix('{')) {
                let name = variable.trim_end_matches('}');
                let named = operation["parameters"].as_array().is_some_and(|parameters| {
                    parameters.iter().any(|parameter| parameter["name"] == name && parameter["in"] == "path")
                });
                assert!(named, "{method} {path} describes {name}");
            }
        }
    }
    for scheme in ["apikey", "businessid", "basic", "bearer", "x-api-key", "platform"] {
        assert!(document["components"]["securitySchemes"][scheme].is_object(), "{scheme}");
    }
    for schema in ["Problem", "CodatErrorMessage", "PaylineError"] {
        assert!(document["components"]["schemas"][schema].is_object(), "{schema}");
    }
}

#[tokio::test]
async fn every_reference_of_the_document_leads_somewhere() {
    let document = bare().await.get("/openapi.json").await.expect(200);
    let mut wanted = Vec::new();
    references(&document, &mut wanted);
    assert!(!wanted.is_empty());
    for reference in wanted {
        let pointer = reference.trim_start_matches('#');
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

fn references(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members) => {
            for (name, member) in members {
                match member.as_str() {
                    Some(reference) if name == "$ref" => found.push(reference.to_owned()),
                    _ => references(member, found),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn metrics_name_routes_and_never_what_a_caller_made_up() {
    trousseau_web::telemetry::record();
    bare().await.get("/livez").await;
    bare().await.get("/v1/made-up-by-the-caller").await;
    let metrics = Client::new(trousseau_web::system::metrics_router()).get("/metrics").await;
    let text = metrics.text();
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    assert!(text.contains("trousseau_http_requests_total") && text.contains("route=\"/livez\""), "{text}");
    assert!(text.contains("route=\"unmatched\"") && !text.contains("made-up-by-the-caller"));
}
