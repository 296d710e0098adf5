"""Responses of mock integrations in an imported REST API.

Stock: the import of an OpenAPI body keeps type, method and URI of an integration and drops its request templates and
responses. The OPTIONS methods that SAM writes for `Cors:` are mocks, so they return 200 `{}` without CORS headers.

AWS: `responses` and `requestTemplates` of `x-amazon-apigateway-integration` are imported; the preflight returns the
configured headers.

Why it matters: without them a browser refuses every call to the API.
"""

from ministack.services import apigateway_v1


def apply():
    """Also import an integration's responses."""
    stock = apigateway_v1._import_operation

    def import_operation(api_id, resource_id, http_method, operation, *security):
        stock(api_id, resource_id, http_method, operation, *security)
        integration = (operation or {}).get("x-amazon-apigateway-integration") or {}
        if str(integration.get("type", "")).lower() != "mock":
            return
        description = {
            "type": "MOCK",
            "requestTemplates": integration.get("requestTemplates") or {},
            "passthroughBehavior": str(integration.get("passthroughBehavior", "when_no_match")).upper(),
        }
        apigateway_v1._put_integration(api_id, resource_id, http_method, description)
        for pattern, response in (integration.get("responses") or {}).items():
            answer = {
                "selectionPattern": "" if pattern == "default" else pattern,
                "responseParameters": response.get("responseParameters") or {},
                "responseTemplates": response.get("responseTemplates") or {},
            }
            status = str(response.get("statusCode", 200))
            apigateway_v1._put_integration_response(api_id, resource_id, http_method, status, answer)

    apigateway_v1._import_operation = import_operation
