//! `GET /v1/keys`: filters, order, cursor.

use std::time::Duration;

use serde_json::{Value, json};
use trousseau_testkit::app::{Business, TestApp};
use trousseau_testkit::client::Client;

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}"))
}

/// A business with one key of each status, and a client that lists them.
async fn sample(app: &TestApp) -> (Business, Client) {
    let business = app.business("mileston").await;
    let path = |rest: &str| format!("/v1/businesses/{}/keys{rest}?environment=test", business.id());
    for draft in [
        json!({"name": "Backend", "valid_from": "2026-01-10T00:00:00Z"}),
        json!({"name": "École", "state": "inactive", "valid_from": "2026-01-05T00:00:00Z"}),
        json!({"name": "50% off_season!", "valid_from": "2026-06-01T00:00:00Z"}),
        json!({"name": "Old", "valid_from": "2020-01-01T00:00:00Z", "valid_until": "2021-01-01T00:00:00Z"}),
        json!({"name": "Gone", "valid_from": "2026-01-10T00:00:00Z"}),
    ] {
        app.advance(Duration::from_secs(1));
        let made = app.platform().post(&path(""), &draft).await.expect(201);
        if draft["name"] == "Gone" {
            app.platform().post_empty(&path(&format!("/{}/revoke", text(&made, "id")))).await.expect(200);
        }
    }
    let client = app.key(business.id(), business.value("test", "secret"));
    (business, client)
}

/// The numbers of the keys in a list.
fn numbers(list: &Value) -> Vec<u64> {
    list["data"].as_array().expect("a list").iter().map(|key| key["number"].as_u64().expect("a number")).collect()
}

#[tokio::test]
async fn filters_choose_and_orders_arrange() {
    for app in TestApp::on_every_engine().await {
        // Numbers: 1 and 2 are the first keys, 3 Backend, 4 École, 5 50%, 6 Old, 7 Gone.
        let (business, client) = sample(&app).await;
        let reference = client.get("/v1/keys?kind=checkout").await.expect(200);
        let reference = text(&reference["data"][0], "external_reference").to_owned();
        for (query, expected) in [
            ("", &[6, 5, 4, 3, 2, 1][..]),
            ("?include_revoked=true", &[7, 6, 5, 4, 3, 2, 1]),
            ("?include_revoked=false", &[6, 5, 4, 3, 2, 1]),
            ("?order=created_at", &[1, 2, 3, 4, 5, 6]),
            ("?order=-created_at", &[6, 5, 4, 3, 2, 1]),
            ("?order=valid_from", &[6, 4, 3, 2, 1, 5]),
            ("?order=-valid_from&include_revoked=true", &[5, 2, 1, 7, 3, 4, 6]),
            ("?kind=secret", &[6, 5, 4, 3, 1]),
            ("?kind=checkout", &[2]),
            ("?state=inactive", &[4]),
            ("?state=active&kind=secret", &[6, 5, 3, 1]),
            ("?status=active", &[3, 2, 1]),
            ("?status=scheduled", &[5]),
            ("?status=expired", &[6]),
            ("?status=inactive", &[4]),
            ("?status=revoked", &[7]),
            ("?status=active&kind=checkout", &[2]),
            ("?q=backend", &[3]),
            ("?q=ACKEND", &[3]),
            ("?q=%C3%89cole", &[4]),
            ("?q=%25", &[5]),
            ("?q=_season!", &[5]),
            ("?q=o%25f", &[]),
            (&format!("?q={}", reference.to_lowercase()), &[2]),
            ("?q=", &[6, 5, 4, 3, 2, 1]),
        ] {
            let list = client.get(&format!("/v1/keys{query}")).await.expect(200);
            assert_eq!(numbers(&list), expected, "{query}");
            assert_eq!(list["has_more"], false);
            assert!(list["data"].as_array().is_some_and(|keys| keys.iter().all(|key| key.get("value").is_none())));
            // The operator sees the same.
            let (_, rest) = query.split_once('?').unwrap_or_default();
            let path = format!("/v1/businesses/{}/keys?environment=test&{rest}", business.id());
            assert_eq!(numbers(&app.platform().get(&path).await.expect(200)), expected, "{path}");
        }
        let live = app.key(business.id(), business.value("live", "secret")).get("/v1/keys").await.expect(200);
        assert_eq!(numbers(&live), [2, 1], "the environments share nothing");
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    for app in TestApp::on_every_engine().await {
        let (_, client) = sample(&app).await;
        for order in ["created_at", "-created_at", "valid_from", "-valid_from"] {
            let query = format!("/v1/keys?include_revoked=true&order={order}");
            let whole = numbers(&client.get(&query).await.expect(200));
            assert_eq!(whole.len(), 7);
            for limit in 1..=8 {
                let mut walked = Vec::new();
                let mut after = String::new();
                loop {
                    let page = client.get(&format!("{query}&limit={limit}{after}")).await.expect(200);
                    assert!(numbers(&page).len() <= limit, "{page}");
                    walked.extend(numbers(&page));
                    let Some(last) = page["data"].as_array().and_then(|keys| keys.last()) else { break };
                    after = format!("&starting_after={}", text(last, "id"));
                    if page["has_more"] == false {
                        break;
                    }
                }
                assert_eq!(walked, whole, "{order} by {limit}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_query_is_refused_by_its_parameter() {
    for app in TestApp::on_every_engine().await {
        let (business, client) = sample(&app).await;
        let live = text(business.key("live", "secret"), "id");
        for (query, status, parameter) in [
            ("kind=public".to_owned(), 400, Some("kind")),
            ("status=expiring".to_owned(), 400, Some("status")),
            ("state=on".to_owned(), 400, Some("state")),
            ("order=name".to_owned(), 400, Some("order")),
            ("limit=0".to_owned(), 400, Some("limit")),
            ("limit=101".to_owned(), 400, Some("limit")),
            ("limit=-1".to_owned(), 400, Some("limit")),
            ("limit=ten".to_owned(), 400, Some("limit")),
            ("include_revoked=yes".to_owned(), 400, Some("include_revoked")),
            (format!("q={}", "x".repeat(101)), 400, Some("q")),
            ("environment=live".to_owned(), 400, Some("environment")),
            ("starting_after=1".to_owned(), 400, Some("starting_after")),
            // Another environment's key is as unknown as any.
            (format!("starting_after={live}"), 422, Some("starting_after")),
            ("starting_after=key_00000000000000000000000000".to_owned(), 422, Some("starting_after")),
            ("page=2".to_owned(), 400, None),
            ("limit=1&limit=2".to_owned(), 400, None),
        ] {
            let problem = client.get(&format!("/v1/keys?{query}")).await.expect(status);
            assert_eq!(problem["errors"][0]["parameter"].as_str(), parameter, "{query}: {problem}");
            let said = match parameter {
                Some("limit") => "must be a number from 1 to 100",
                Some("include_revoked") => "must be true or false",
                _ => continue,
            };
            assert_eq!(problem["errors"][0]["detail"], said, "{query}");
        }
        let operator = app.platform();
        for (query, status) in [("", 400), ("?environment=TEST", 400), ("?environment=prod", 400)] {
            operator.get(&format!("/v1/businesses/{}/keys{query}", business.id())).await.expect(status);
        }
        let nobody = operator.get("/v1/businesses/00000000-0000-4000-8000-000000000000/keys?environment=test").await;
        nobody.expect(404);
    }
}

#[tokio::test]
async fn a_page_has_twenty_five_keys_unless_asked_otherwise() {
    for app in TestApp::on_every_engine().await {
        let business = app.business("payline").await;
        let path = format!("/v1/businesses/{}/keys?environment=test", business.id());
        for _ in 0..30 {
            app.platform().post(&path, &json!({})).await.expect(201);
        }
        let list = app.platform().get(&path).await.expect(200);
        assert_eq!((numbers(&list).len(), &list["has_more"]), (25, &json!(true)));
        let rest = format!("{path}&limit=100&starting_after={}", text(&list["data"][24], "id"));
        let rest = app.platform().get(&rest).await.expect(200);
        assert_eq!((numbers(&rest), &rest["has_more"]), (vec![6, 5, 4, 3, 2, 1], &json!(false)));
        // Payline's own pages: ten, latest start first, then the highest number.
        let merchant = format!("/v1/merchants/{}/keys", business.id());
        let first = app.platform().get(&merchant).await.expect(200);
        let ids = |page: &Value| -> Vec<u64> {
            page["items"].as_array().expect("items").iter().map(|item| item["id"].as_u64().expect("a number")).collect()
        };
        assert_eq!((ids(&first)[0], ids(&first).len(), &first["total"]), (31, 10, &json!(31)));
        let fourth = app.platform().get(&format!("{merchant}?page=4&pageSize=10&sort=startDate")).await.expect(200);
        assert_eq!(ids(&fourth).len(), 1);
        app.platform().get(&format!("{merchant}?pageSize=101")).await.expect(400);
        app.platform().get(&format!("{merchant}?page=0")).await.expect(400);
    }
}
