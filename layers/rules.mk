# What `sam build` runs, in the project's folder: the template names this processor's Makefile for each resource, since
# SAM does not say which processor it builds for. ARTIFACTS_DIR is SAM's.

BUILD := python3.13 -E -s -B -m layers.builder

.PHONY: build-SharedLayer
build-SharedLayer:
	@$(BUILD) layer $(ARCHITECTURE) "$(ARTIFACTS_DIR)"

.PHONY: build-CryptographyLayer
build-CryptographyLayer:
	@$(BUILD) cryptography $(ARCHITECTURE) "$(ARTIFACTS_DIR)"

.PHONY: build-CreateOrderFunction
build-CreateOrderFunction:
	@$(BUILD) create_order $(ARCHITECTURE) "$(ARTIFACTS_DIR)"

.PHONY: build-VerifyFunction
build-VerifyFunction:
	@$(BUILD) verify $(ARCHITECTURE) "$(ARTIFACTS_DIR)"

.PHONY: build-WebhookFunction
build-WebhookFunction:
	@$(BUILD) webhook $(ARCHITECTURE) "$(ARTIFACTS_DIR)"

.PHONY: build-RefundFunction
build-RefundFunction:
	@$(BUILD) refund $(ARCHITECTURE) "$(ARTIFACTS_DIR)"

.PHONY: build-ReconcileFunction
build-ReconcileFunction:
	@$(BUILD) reconcile $(ARCHITECTURE) "$(ARTIFACTS_DIR)"

.PHONY: build-OutboxFunction
build-OutboxFunction:
	@$(BUILD) outbox $(ARCHITECTURE) "$(ARTIFACTS_DIR)"
