use super::*;

/// What a text says: its objects by kind, namespace and name, what is refused in it, or where it is no text at all.
fn said(text: &str) -> Vec<String> {
    let line = |((line, column), message): Fault| format!("{line}:{column}: {message}");
    match read(text) {
        Ok(manifest) => {
            let objects =
                manifest.objects.iter().map(|(key, _)| format!("{:?} {}/{}", key.kind, key.namespace, key.name));
            objects.chain(manifest.refused.iter().flat_map(Refused::faults).map(line)).collect()
        }
        Err(faults) => faults.into_iter().map(line).collect(),
    }
}

fn check(text: &str, expected: &[&str]) {
    assert_eq!(said(text), expected, "{text}");
}

/// As `check`, but for how the parsers word their errors.
fn check_beginnings(text: &str, expected: &[&str]) {
    let said = said(text);
    let begins = said.iter().zip(expected).all(|(said, expected)| said.starts_with(expected));
    assert!(said.len() == expected.len() && begins, "{text}: {said:?}, not {expected:?}");
}

fn service(name: &str) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  clusterIP: None\n")
}

#[test]
fn a_file_has_many_documents_and_lists() {
    let text = "
# Nothing here.
---
apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec: { type: { not: a Service's }, ports: none, ports: twice }
---
apiVersion: v1
kind: List
items:
  - { apiVersion: v1, kind: Service, metadata: { name: web, namespace: shop }, spec: { clusterIP: None } }
  - apiVersion: discovery.k8s.io/v1
    kind: EndpointSlice
    metadata: { name: db-1, labels: { kubernetes.io/service-name: db } }
    addressType: IPv6
---
apiVersion: v1
kind: ServiceList
items: [{ metadata: { name: typed }, spec: { clusterIP: None } }]
---
kind: List
apiVersion: v1
items:
  - kind: List
    apiVersion: v1
    items: [{ kind: Namespace, apiVersion: v1, metadata: { name: nested } }]
---
";
    let expected = [
        "Namespace /shop",
        "Service shop/web",
        "EndpointSlice default/db-1",
        "Service default/typed",
        "Namespace /nested",
    ];
    check(text, &expected);
    check("", &[]);
    check("# Only a comment.\n---\n# And another.\n", &[]);
    check("apiVersion: v1\nkind: List\nitems: []", &[]);
    check("apiVersion: v1\nkind: List\nitems: null", &[]);
    check("apiVersion: example.net/v1\nkind: Service\nspec: 5", &[]);
    check("apiVersion: example.net/v1\nkind: Bag\nitems: { a: 1 }", &[]);
}

#[test]
fn what_the_api_adds_is_as_good_as_absent() {
    let text = r#"
apiVersion: v1
items:
- apiVersion: v1
  kind: Service
  metadata:
    annotations:
      kubectl.kubernetes.io/last-applied-configuration: |
        {"apiVersion":"v1","kind":"Service"}
    creationTimestamp: "2026-01-05T10:11:12Z"
    generation: 3
    managedFields: [{ manager: kubectl, fieldsType: FieldsV1, fieldsV1: { "f:spec": { ".": {} } } }]
    name: web
    namespace: shop
    resourceVersion: "1841"
    uid: 5b0f3c1e-8b1d-4b9c-9d43-000000000001
  spec:
    clusterIP: 2a0a:e5c0:10:3::1
    clusterIPs:
    - 2a0a:e5c0:10:3::1
    internalTrafficPolicy: Cluster
    ipFamilies:
    - IPv6
    ipFamilyPolicy: SingleStack
    ports:
    - name: https
      nodePort: 30443
      port: 443
      protocol: TCP
      targetPort: web
    selector: { app: web }
    sessionAffinity: None
    type: NodePort
  status:
    loadBalancer: {}
kind: List
metadata:
  resourceVersion: ""
"#;
    check(text, &["Service shop/web"]);
}

#[test]
fn a_pod_is_one_that_a_cluster_runs() {
    let pod = |name: &str, rest: &str| format!("---\napiVersion: v1\nkind: Pod\nmetadata: {{ {name} }}\n{rest}\n");
    // As people write them: of no interest, whatever is wrong with them.
    check(&pod("generateName: web-", "spec: { containers: [] }"), &[]);
    check(&pod("name: web-0", "status: { phase: Running, podIP: '2a0a::1' }"), &["Pod default/web-0"]);
    check(&pod("name: web-0", "status: { phase: Succeeded, podIP: '2a0a::1' }"), &[]);
    check(
        &pod("name: Web", "status: { podIP: here, podIPs: [{ ip: '2a0a::1' }, { ip: there }, 5] }"),
        &[
            r#"4:19: Pod "Web": metadata.name: Invalid value: "Web": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"#,
            r#"5:18: Pod "Web": status.podIP: Invalid value: "here": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"#,
            r#"5:58: Pod "Web": status.podIPs[1].ip: Invalid value: "there": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"#,
            r#"5:67: Pod "Web": status.podIPs[2]: Invalid value: 5: must be a map"#,
        ],
    );
    check(
        &pod("generateName: web-", "status: {}"),
        &[r#"4:11: Pod: metadata.name: Required value: a generated name is known to the API server only"#],
    );
}

#[test]
fn json_and_yaml_are_told_apart_by_the_text() {
    let json = r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"NAME"},"spec":{"clusterIP":"None"}}"#;
    check(&json.replace("NAME", "web"), &["Service default/web"]);
    check(&format!("\u{feff}{}", json.replace("NAME", "web")), &["Service default/web"]);
    let stream = format!("{}\n{}{}\n", json.replace("NAME", "a"), json.replace("NAME", "b"), json.replace("NAME", "c"));
    check(&stream, &["Service default/a", "Service default/b", "Service default/c"]);
    check(
        &format!("{{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":[{json}]}}").replace("NAME", "web"),
        &["Service default/web"],
    );
    check("{ apiVersion: v1, kind: Namespace, metadata: { name: flow } }", &["Namespace /flow"]);
}

#[test]
fn a_refusal_in_json_has_a_place() {
    let text = "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Service\",\n\t\"metadata\": {\"name\": \"web\"},\n\t\"spec\": {\n\t\t\"clusterIP\": \"None\",\n\t\t\"ports\": [{\"port\": \"80\"}]\n\t}\n}\n";
    let expected = r#"Service "web": spec.ports[0].port: Invalid value: "80": must be an integer"#;
    check(text, &[&format!("7:22: {expected}")]);
    check(&format!("{{\"apiVersion\": \"v1\", \"kind\": \"Pod\"}}\n\n{text}"), &[&format!("9:22: {expected}")]);
}

#[test]
fn windows_writes_manifests_too() {
    let text = format!("\u{feff}{}---\n{}", service("web"), service("db")).replace('\n', "\r\n");
    check(&text, &["Service default/web", "Service default/db"]);
}

#[test]
fn documents_end_where_yaml_says() {
    let quoted = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  annotations:\n    b: |\n      ---\n      kind: [\n    c: 'x\n      --- y'\n";
    check(&format!("--- # First.\n{quoted}...\n---\n{}", service("web")), &["Namespace /a", "Service default/web"]);
    check(
        &format!("%YAML 1.2\n---\n{}---\n{}", service("a"), service("b")),
        &["Service default/a", "Service default/b"],
    );
    check(
        "---- not a marker\n",
        &["1:1: invalid type: string \"---- not a marker\", expected an object with apiVersion and kind"],
    );
}

#[test]
fn a_large_file_is_read_whole_and_in_order() {
    let padding = "x".repeat(LARGE / 500);
    let document = |index| format!("---\n# {padding}\n{}", service(&format!("s{index}")));
    let text: String = (0..500).map(document).collect();
    assert!(text.len() > LARGE);
    let manifest = read(&text).unwrap();
    let names = manifest.objects.iter().map(|(key, _)| key.name.to_string());
    assert!(names.eq((0..500).map(|index| format!("s{index}"))));
    let list: String =
        (0..2000).map(|index| format!("- {}", service(&format!("s{index}")).replace('\n', "\n  "))).collect();
    let list = format!("apiVersion: v1\nkind: List\nitems:\n{}", list.replace("  - ", "- "));
    assert_eq!(read(&list).unwrap().objects.len(), 2000);
}

#[test]
fn every_fault_in_the_syntax_is_told() {
    let text = format!("{}---\nkind: [\n---\n{}---\na: 'b\n", service("a"), service("b"));
    check_beginnings(&text, &["8:7: unclosed bracket '['", "18:1: invalid indentation"]);
    check_beginnings("{ \"a\": ", &["1:"]);
}

#[test]
fn every_refusal_is_told_with_its_place() {
    let text = "---
# A Service.
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  clusterIP: 5
  ports:
  - port: 70000
  - name: b
    port: 80
---
apiVersion: v1
kind: Service
---
foo: bar
---
kind: Service
metadata: { generateName: web- }
---
apiVersion: v1
kind: Namespace
metadata: { generateName: web- }
---
apiVersion: v1
kind: List
items:
- 5
- metadata: { name: untyped }
- { apiVersion: v1, kind: Namespace, metadata: { name: shop } }
- { apiVersion: v1, kind: Namespace, metadata: { name: depot, name: shop } }
";
    check(
        text,
        &[
            "Namespace /shop",
            r#"8:14: Service "web": spec.clusterIP: Invalid value: 5: must be a string"#,
            r#"10:5: Service "web": spec.ports[0].name: Required value"#,
            r#"10:11: Service "web": spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive"#,
            "14:1: Service: metadata.name: Required value",
            "14:1: Service: spec.ports: Required value",
            "17:1: an object without apiVersion and kind",
            "19:1: an object without apiVersion",
            "24:11: Namespace: metadata.name: Required value: a generated name is known to the API server only",
            "29:3: 5 is no object",
            "30:3: an object without apiVersion and kind",
            r#"32:69: Namespace "shop": metadata.name: Duplicate field: it stands there already, with another value"#,
        ],
    );
}

#[test]
fn a_template_is_told_to_be_one() {
    for text in ["{{- if .Values.web }}\nkind: Service\n", "kind: Service\nmetadata: { name: {{ .Release.Name }} }\n"] {
        let said = said(text);
        assert!(said.len() == 1 && said[0].ends_with(" (a template has to be rendered first)"), "{said:?}");
    }
    check_beginnings("kind: [\n# {{\n", &["1:7: unclosed bracket '['"]);
}

#[test]
fn an_error_is_a_line_for_people_whatever_it_quotes() {
    let long = "x".repeat(100_000);
    let list = format!("[{}]", "no, ".repeat(100_000));
    // A longer one is no key in YAML.
    let key = &long[..1000];
    let map = format!("{{ {key}: 1 }}");
    for (metadata, spec) in [
        (format!("{{ name: {long} }}"), format!("{{ type: {long}, clusterIP: {list}, clusterIPs: {list} }}")),
        (format!("{{ name: web, labels: {map} }}"), format!("{{ ports: [{{ port: {map} }}], type: {long} }}")),
        (format!("{{ name: web, labels: {{ {key}: a, {key}: b }} }}"), "{ clusterIP: None }".to_owned()),
    ] {
        let text = format!("apiVersion: v1\nkind: Service\nmetadata: {metadata}\nspec: {spec}\n");
        let said = said(&text);
        let longest = said.iter().map(String::len).max();
        assert!(longest.is_some_and(|longest| longest < 1500), "{longest:?}");
        assert!(said.iter().any(|said| said.contains("must be") || said.contains("Duplicate")), "{said:.300?}");
    }
    for text in [long.clone(), format!("- {long}"), format!("kind: List\napiVersion: v1\nitems: [{list}]")] {
        assert!(said(&text).iter().all(|said| said.len() < 500));
    }
}

#[test]
fn a_kind_that_is_nearly_ours_is_told() {
    for (version, kind, meant) in [
        ("v1", "Services", r#""Service" in "v1""#),
        ("core/v1", "Service", r#""Service" in "v1""#),
        ("v1", "namespace", r#""Namespace" in "v1""#),
        ("discovery.k8s.io/v1beta1", "EndpointSlice", r#""EndpointSlice" in "discovery.k8s.io/v1""#),
        ("v1", "EndpointSlice", r#""EndpointSlice" in "discovery.k8s.io/v1""#),
    ] {
        let text = format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{ name: a }}\n");
        check(&text, &[&format!("1:1: no matches for kind {kind:?} in version {version:?}: is it {meant}?")]);
    }
    for (version, kind) in
        [("v1", "Endpoints"), ("v1", "Secret"), ("v1", "ServiceAccount"), ("serving.knative.dev/v1", "Service")]
    {
        check(&format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{ name: a }}\n"), &[]);
    }
}

#[test]
fn an_object_without_a_namespace_is_in_the_default_one() {
    for namespace in ["null", "''"] {
        let text = |name: &str| {
            let metadata = format!("{{ name: {name}, namespace: {namespace} }}");
            format!("apiVersion: v1\nkind: Service\nmetadata: {metadata}\nspec: {{ clusterIP: None }}\n")
        };
        check(&text("web"), &["Service default/web"]);
        let manifest = read(&text("web").replace("None", "5")).unwrap();
        let key = manifest.refused[0].key.as_ref().map(|key| (&*key.namespace, &*key.name));
        assert_eq!(key, Some(("default", "web")));
    }
}

#[test]
fn a_value_that_is_left_empty_is_an_empty_text() {
    let text = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  annotations:\n    k8s.ooo/publish:\n";
    let manifest = read(text).unwrap();
    let Object::Namespace(namespace) = &manifest.objects[0].1 else { panic!("{manifest:?}") };
    assert_eq!(namespace.annotations.get("k8s.ooo/publish").map(|value| &**value), Some(""));
}

#[test]
fn anchors_and_merged_maps_are_what_they_stand_for() {
    let text = "
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Namespace
  metadata: &shop { name: shop, labels: { a: b } }
- apiVersion: v1
  kind: Namespace
  metadata: { <<: *shop, name: other }
- { apiVersion: v1, kind: Namespace, metadata: *shop }
";
    check(text, &["Namespace /shop", "Namespace /other", "Namespace /shop"]);
}

#[test]
fn what_would_grow_or_nest_without_end_is_refused() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        laughs += &format!("a{level}: &a{level} [{}]\n", below.trim_end_matches(", "));
    }
    let deep = |open: &str, close: &str, depth| format!("a: {}{}\n", open.repeat(depth), close.repeat(depth));
    let block: String = (0..2000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let json = format!("{{\"a\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    for text in [laughs, deep("[", "]", DEPTH), deep("{a: ", "}", DEPTH), deep("[", "]", 100_000), block, json] {
        let refused = side_by_side(vec![&text], |text| read(text).is_err());
        assert_eq!(refused, [true], "{text:.60}");
    }
    let deep = format!("apiVersion: v1\nkind: ConfigMap\n{}", deep("{a: ", "}", DEPTH - 2));
    assert_eq!(side_by_side(vec![&deep], |text| said(text)), [[""; 0]]);
}
