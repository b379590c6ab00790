#!/usr/bin/env bash
# The snippets of "Deploy models using batch endpoints with REST APIs" of the Azure documentation,
# from the compute cluster to the deletion of the endpoint, with curl and nothing else that speaks
# to Azure. Python reads the JSON, because jq is not everywhere.
#
# Needs: SUBSCRIPTION_ID RESOURCE_GROUP WORKSPACE LOCATION
#        TOKEN          for https://management.azure.com
#        SCORING_TOKEN  for https://ml.azure.com
#        STORAGE_TOKEN  for https://storage.azure.com
#        CODE_FOLDER, CODE_SCRIPT (in it), MODEL_FOLDER, INPUT_FOLDER (with 0.png), CONDA_FILE
# May be told: ARM_URL, BLOB_URL (of the account), ENDPOINT_NAME, API_VERSION, PAUSE (seconds
# between questions), PUBLIC_FOLDER, PUBLIC_FILE.
set -euo pipefail
shopt -s inherit_errexit

ARM_URL=${ARM_URL:-https://management.azure.com}
API_VERSION=${API_VERSION:-2022-05-01}
PAUSE=${PAUSE:-10}
PUBLIC_FOLDER=${PUBLIC_FOLDER:-https://pipelinedata.blob.core.windows.net/sampledata/mnist}
PUBLIC_FILE=${PUBLIC_FILE:-$PUBLIC_FOLDER/0.png}

HEADERS=$(mktemp)
trap 'rm -f "$HEADERS"' EXIT

# --- helpers ------------------------------------------------------------------------------------

# field EXPRESSION: an expression of Python over `it`, the JSON document on standard input.
field() {
  python3 -c "import json, sys; it = json.load(sys.stdin); print($1)"
}

# arm METHOD PATH [BODY]: a request to the control plane of the workspace.
arm() {
  local method=$1 path=$2 join='?'
  [[ $path == *\?* ]] && join='&'
  curl --silent --show-error --fail-with-body --location --dump-header "$HEADERS" \
    --request "$method" "$WORKSPACE_URL/$path${join}api-version=$API_VERSION" \
    --header "Authorization: Bearer $TOKEN" \
    --header "Content-Type: application/json" \
    ${3+--data-raw "$3"}
}

# wait_for_completion: until the operation that the last answer names has ended, if it names one.
wait_for_completion() {
  local url status=InProgress
  url=$(sed -n 's/\r$//; s/^azure-asyncoperation: //Ip' "$HEADERS" | tail -n 1)
  [[ -z $url ]] && return
  while [[ $status != Succeeded && $status != Completed ]]; do
    [[ $status == Failed || $status == Canceled ]] && { echo "$url: $status" >&2; return 1; }
    sleep "$PAUSE"
    status=$(curl --silent --show-error --fail-with-body --location "$url" \
      --header "Authorization: Bearer $TOKEN" | field 'it["status"]')
  done
}

# upload FOLDER PREFIX: all files of a folder, to the container of the default datastore.
upload() {
  local file
  (cd "$1" && find . -type f | sed 's|^\./||') | while read -r file; do
    curl --silent --show-error --fail-with-body --request PUT \
      "$BLOB_URL/$AZUREML_DEFAULT_CONTAINER/$2/$file" \
      --header "Authorization: Bearer $STORAGE_TOKEN" \
      --header "x-ms-version: 2021-08-06" \
      --header "x-ms-blob-type: BlockBlob" \
      --header "Content-Type: application/octet-stream" \
      --data-binary "@$1/$file"
  done
}

# invoke BODY [HEADER]: prints the name of the batch job.
invoke() {
  local response
  response=$(curl --silent --show-error --fail-with-body --location --request POST "$SCORING_URI" \
    --header "Authorization: Bearer $SCORING_TOKEN" \
    --header "Content-Type: application/json" \
    ${2+--header "$2"} \
    --data-raw "$1")
  field 'it["id"].rpartition("/")[2]' <<<"$response"
}

# check_job JOB: waits for its end and prints the state.
check_job() {
  local status=
  while [[ ! $status =~ ^(Completed|Failed|Canceled)$ ]]; do
    [[ -n $status ]] && sleep "$PAUSE"
    status=$(curl --silent --show-error --fail-with-body --location "$SCORING_URI/$1" \
      --header "Authorization: Bearer $SCORING_TOKEN" |
      field 'it.get("status") or it["properties"]["status"]')
  done
  echo "$status"
}

# completed NAME JOB: waits for its end, which must be a good one.
completed() {
  local status
  status=$(check_job "$2")
  echo "$1 $2 $status"
  [[ $status == Completed ]]
}

# --- set_endpoint_name --------------------------------------------------------------------------

ENDPOINT_NAME=${ENDPOINT_NAME:-endpt-$RANDOM}
WORKSPACE_ID=/subscriptions/$SUBSCRIPTION_ID/resourceGroups/$RESOURCE_GROUP/providers/Microsoft.MachineLearningServices/workspaces/$WORKSPACE
WORKSPACE_URL=$ARM_URL$WORKSPACE_ID

# --- create_compute -----------------------------------------------------------------------------

arm PUT computes/batch-cluster "{
  \"location\": \"$LOCATION\",
  \"properties\": {
    \"computeType\": \"AmlCompute\",
    \"properties\": {
      \"osType\": \"Linux\",
      \"vmSize\": \"STANDARD_D2_V2\",
      \"scaleSettings\": {\"maxNodeCount\": 5, \"minNodeCount\": 0},
      \"remoteLoginPortPublicAccess\": \"NotSpecified\"
    }
  }
}" >/dev/null
wait_for_completion
echo create_compute

# --- get_storage_details ------------------------------------------------------------------------

response=$(arm GET 'datastores?isDefault=true')
AZUREML_DEFAULT_DATASTORE=$(field 'it["value"][0]["name"]' <<<"$response")
AZUREML_DEFAULT_CONTAINER=$(field 'it["value"][0]["properties"]["containerName"]' <<<"$response")
AZURE_STORAGE_ACCOUNT=$(field 'it["value"][0]["properties"]["accountName"]' <<<"$response")
AZURE_STORAGE_ENDPOINT=$(field 'it["value"][0]["properties"]["endpoint"]' <<<"$response")
ACCOUNT_URL=https://$AZURE_STORAGE_ACCOUNT.blob.$AZURE_STORAGE_ENDPOINT
BLOB_URL=${BLOB_URL:-$ACCOUNT_URL}
echo "get_storage_details $AZUREML_DEFAULT_DATASTORE"

# --- upload_code, create_code -------------------------------------------------------------------

upload "$CODE_FOLDER" "$ENDPOINT_NAME/code"
arm PUT "codes/$ENDPOINT_NAME/versions/1" "{
  \"properties\": {
    \"description\": \"Score code\",
    \"codeUri\": \"$ACCOUNT_URL/$AZUREML_DEFAULT_CONTAINER/$ENDPOINT_NAME/code\"
  }
}" >/dev/null
echo create_code

# --- upload_model, create_model -----------------------------------------------------------------

upload "$MODEL_FOLDER" "$ENDPOINT_NAME/model"
LONG=azureml://subscriptions/$SUBSCRIPTION_ID/resourceGroups/$RESOURCE_GROUP/workspaces/$WORKSPACE/datastores/$AZUREML_DEFAULT_DATASTORE/paths/$ENDPOINT_NAME
arm PUT "models/$ENDPOINT_NAME/versions/1" "{\"properties\": {\"modelUri\": \"$LONG/model\"}}" >/dev/null
echo create_model

# --- read_condafile, create_environment ---------------------------------------------------------

CONDA_TEXT=$(python3 -c 'import json, sys; print(json.dumps(open(sys.argv[1]).read()))' "$CONDA_FILE")
arm PUT "environments/$ENDPOINT_NAME/versions/1" "{
  \"properties\": {
    \"condaFile\": $CONDA_TEXT,
    \"image\": \"mcr.microsoft.com/azureml/openmpi3.1.2-ubuntu18.04:latest\"
  }
}" >/dev/null
echo create_environment

# --- create_endpoint ----------------------------------------------------------------------------

arm PUT "batchEndpoints/$ENDPOINT_NAME" "{
  \"location\": \"$LOCATION\",
  \"properties\": {\"authMode\": \"aadToken\"}
}" >/dev/null
wait_for_completion
echo create_endpoint

# --- create_deployment --------------------------------------------------------------------------

# create_deployment NAME
create_deployment() {
  arm PUT "batchEndpoints/$ENDPOINT_NAME/deployments/$1" "{
    \"location\": \"$LOCATION\",
    \"properties\": {
      \"model\": {
        \"referenceType\": \"Id\",
        \"assetId\": \"$WORKSPACE_ID/models/$ENDPOINT_NAME/versions/1\"
      },
      \"codeConfiguration\": {
        \"codeId\": \"$WORKSPACE_ID/codes/$ENDPOINT_NAME/versions/1\",
        \"scoringScript\": \"$CODE_SCRIPT\"
      },
      \"environmentId\": \"$WORKSPACE_ID/environments/$ENDPOINT_NAME/versions/1\",
      \"compute\": \"$WORKSPACE_ID/computes/batch-cluster\",
      \"resources\": {\"instanceCount\": 1},
      \"maxConcurrencyPerInstance\": \"4\",
      \"retrySettings\": {\"maxRetries\": 3, \"timeout\": \"PT30S\"},
      \"errorThreshold\": \"10\",
      \"loggingLevel\": \"info\",
      \"miniBatchSize\": \"5\"
    }
  }" >/dev/null
  wait_for_completion
  echo "create_deployment $1"
}
create_deployment nonmlflowedp
create_deployment second

# --- set_endpoint_defaults ----------------------------------------------------------------------

arm PUT "batchEndpoints/$ENDPOINT_NAME" "{
  \"location\": \"$LOCATION\",
  \"properties\": {\"authMode\": \"aadToken\", \"defaults\": {\"deploymentName\": \"nonmlflowedp\"}}
}" >/dev/null
wait_for_completion
echo set_endpoint_defaults

# --- get_endpoint -------------------------------------------------------------------------------

SCORING_URI=$(arm GET "batchEndpoints/$ENDPOINT_NAME" | field 'it["properties"]["scoringUri"]')
echo "get_endpoint $SCORING_URI"

# --- invoke, in every form of the article -------------------------------------------------------

upload "$INPUT_FOLDER" "$ENDPOINT_NAME/mnist"
SHORT=azureml://datastores/$AZUREML_DEFAULT_DATASTORE/paths/$ENDPOINT_NAME

# input NAME KIND URI: a body.
input() {
  echo "{\"properties\": {\"InputData\": {\"$1\": {\"JobInputType\": \"$2\", \"Uri\": \"$3\"}}}}"
}

completed public_folder "$(invoke "$(input mnistinput UriFolder "$PUBLIC_FOLDER")")"
completed datastore_folder_short "$(invoke "$(input mnistInput UriFolder "$SHORT/mnist")")"
completed datastore_folder_long "$(invoke "$(input mnistinput UriFolder "$LONG/mnist")")"

arm PUT "data/$ENDPOINT_NAME/versions/1" "{
  \"properties\": {
    \"dataType\": \"uri_folder\",
    \"dataUri\": \"$PUBLIC_FOLDER\",
    \"description\": \"Mnist data asset\"
  }
}" >/dev/null
echo create_data
ASSET_ID=azureml://locations/$LOCATION/workspaces/$WORKSPACE/data/$ENDPOINT_NAME/versions/1/
ARM_ID=${WORKSPACE_ID/resourceGroups/resourcegroups}/data/$ENDPOINT_NAME/versions/1
completed data_asset_id "$(invoke "$(input mnistInput UriFolder "$ASSET_ID")")"
completed data_asset_arm_id "$(invoke "$(input mnistInput UriFolder "$ARM_ID")")"
completed public_file "$(invoke "$(input mnistInput UriFile "$PUBLIC_FILE")")"

OUTPUT_FILE_NAME=predictions_$RANDOM.csv
WITH_OUTPUT="{
  \"properties\": {
    \"InputData\": {
      \"mnistInput\": {\"JobInputType\": \"UriFolder\", \"Uri\": \"$SHORT/mnist\"}
    },
    \"OutputData\": {
      \"mnistOutput\": {
        \"JobOutputType\": \"UriFile\",
        \"Uri\": \"$SHORT/mnistOutput/$OUTPUT_FILE_NAME\"
      }
    }
  }
}"
completed output "$(invoke "$WITH_OUTPUT")"
completed deployment "$(invoke "$(input mnistInput UriFolder "$SHORT/mnist")" "azureml-model-deployment: second")"

# "You must use a unique output location. If the output file exists, the batch scoring job will fail."
status=$(check_job "$(invoke "$WITH_OUTPUT")")
echo "output_exists $status"
[[ $status == Failed ]]

# --- check batch scoring results ----------------------------------------------------------------

curl --silent --show-error --fail-with-body \
  "$BLOB_URL/$AZUREML_DEFAULT_CONTAINER/$ENDPOINT_NAME/mnistOutput/$OUTPUT_FILE_NAME" \
  --header "Authorization: Bearer $STORAGE_TOKEN" \
  --header "x-ms-version: 2021-08-06" | sed 's/^/results /'

# --- delete_endpoint ----------------------------------------------------------------------------

arm DELETE "batchEndpoints/$ENDPOINT_NAME"
wait_for_completion
echo delete_endpoint
