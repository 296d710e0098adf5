"""Gateway responses of an imported REST API.

Stock: `x-amazon-apigateway-gateway-responses` in an OpenAPI body, where SAM writes `GatewayResponses`, is ignored: an
unknown route returns 403 `{"message":"Missing Authentication Token"}` whatever the template says.

AWS: they are imported, and take effect with the deployment.

Why it matters: unknown routes, throttled calls and failed functions must return this service's problem documents with
CORS headers, or a browser hides the error from the page.
"""

from ministack.services import apigateway_v1


def apply():
    """Import the gateway responses with the rest of the API."""
    stock = apigateway_v1._import_rest_api

    def import_rest_api(spec, base_data=None):
        api_id = stock(spec, base_data)
        for response_type, response in (spec.get("x-amazon-apigateway-gateway-responses") or {}).items():
            status, _headers, body = apigateway_v1._put_gateway_response(api_id, response_type, response)
            if status >= 400:
                message = f"gateway response {response_type}: {body!r}"
                raise ValueError(message)
        return api_id

    apigateway_v1._import_rest_api = import_rest_api
