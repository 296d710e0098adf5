"""The payment service's layer: `core` decides, `adapters` talk to the outside world, `wiring` connects them.

Nothing is re-exported here, so that a function loads only the modules it names.
"""

import gc
import os

if "AWS_LAMBDA_INITIALIZATION_TYPE" in os.environ:
    # What Init creates lives as long as the instance, so searching it for garbage again and again only costs
    # instructions: a tenth of Init. `wiring.priming` switches the collector on again.
    gc.disable()
