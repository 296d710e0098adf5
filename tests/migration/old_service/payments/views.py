"""Create an order, verify a payment, receive a webhook."""

import hashlib
import hmac
import json
from decimal import Decimal

import requests
from django.conf import settings
from payments.models import Payment
from rest_framework.response import Response
from rest_framework.views import APIView


def _signature(message, secret):
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


class CreateOrder(APIView):
    def post(self, request):
        amount = Decimal(str(request.data["amount"]))
        asked = requests.post(
            f"{settings.RAZORPAY_URL}/v1/orders",
            json={"amount": int(amount * 100), "currency": "INR"},
            auth=(settings.RAZORPAY_KEY_ID, settings.RAZORPAY_KEY_SECRET),
            timeout=10,
        )
        order = asked.json()
        ids = {name: request.data[name] for name in ("job_id", "application_id", "client_id", "freelancer_id")}
        Payment.objects.create(**ids, amount=amount, razorpay_order_id=order["id"])
        shown = {"order_id": order["id"], "amount": order["amount"], "currency": "INR", "status": "created"}
        return Response(shown)


class Verify(APIView):
    def post(self, request):
        order_id, payment_id = request.data["razorpay_order_id"], request.data["razorpay_payment_id"]
        payment = Payment.objects.get(razorpay_order_id=order_id)
        message = f"{order_id}|{payment_id}".encode()
        if not hmac.compare_digest(
            _signature(message, settings.RAZORPAY_KEY_SECRET), request.data["razorpay_signature"]
        ):
            return Response({"error": "Invalid signature"}, status=400)
        payment.razorpay_payment_id = payment_id
        payment.razorpay_signature = request.data["razorpay_signature"]
        payment.status = "paid"
        payment.save()
        return Response({"status": "success", "message": "Payment verified", "payment_id": payment.id})


class Webhook(APIView):
    authentication_classes = ()
    permission_classes = ()

    def post(self, request):
        body = request.body
        expected = _signature(body, settings.RAZORPAY_WEBHOOK_SECRET)
        if not hmac.compare_digest(expected, request.headers.get("X-Razorpay-Signature", "")):
            return Response({"error": "Invalid signature"}, status=400)
        event = json.loads(body)
        entity = event["payload"]["payment"]["entity"]
        status = {"payment.captured": "paid", "payment.failed": "failed"}.get(event["event"])
        if status:
            orders = Payment.objects.filter(razorpay_order_id=entity["order_id"])
            orders.update(status=status, razorpay_payment_id=entity["id"])
        return Response({"status": "ok"})
